"""The data of the pages: rentals of bikes at two stations, which follow the temperature and the hour of the day."""

import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd

MONTHS = range(1, 6)


def hours(month: int, *stations: str) -> pd.DataFrame:
    """Four weeks of one month: hour, clock, temperature, rentals and, where stations are named, station."""
    frames = [_station(month, number, name) for number, name in enumerate(stations or ("only",))]
    whole = pd.concat(frames, ignore_index=True)
    return whole if stations else whole.drop(columns="station")


def write_files(folder: Path) -> None:
    """data/bikes/2024-01.csv to 2024-05.csv, and the same rows in the table `rentals` of warehouse.db."""
    landing = folder / "data" / "bikes"
    landing.mkdir(parents=True)
    frames = {f"2024-{month:02d}": hours(month, "north", "south") for month in MONTHS}
    for name, frame in frames.items():
        frame.to_csv(landing / f"{name}.csv", index=False)
    with sqlite3.connect(folder / "warehouse.db") as database:
        pd.concat(frames.values(), ignore_index=True).reset_index(names="id").to_sql("rentals", database, index=False)


def write_journals(folder: Path) -> None:
    """data/journal/2024-01.jsonl to 2024-05.jsonl: the same rentals as lines of JSON."""
    journals = folder / "data" / "journal"
    journals.mkdir(parents=True)
    for month in MONTHS:
        rows = hours(month, "north", "south")
        rows.to_json(journals / f"2024-{month:02d}.jsonl", orient="records", lines=True, date_format="iso")


def write_late_labels(folder: Path) -> None:
    """data/trips without labels, data/labels with those of all months but the last, known a week after the month."""
    for name in ("trips", "labels"):
        (folder / "data" / name).mkdir(parents=True)
    for month in MONTHS:
        rows = hours(month, "north", "south")
        batch = f"2024-{month:02d}.csv"
        rows.drop(columns="rentals").to_csv(folder / "data" / "trips" / batch, index=False)
        if month != MONTHS[-1]:
            labels = rows[["hour", "station", "rentals"]].assign(counted_at=rows["hour"] + pd.Timedelta(hours=6))
            labels.to_csv(folder / "data" / "labels" / batch, index=False)


def _station(month: int, number: int, name: str) -> pd.DataFrame:
    random = np.random.default_rng(100 * number + month)
    hour = pd.date_range(f"2024-{month:02d}-01", periods=28 * 24, freq="h")
    temperature = 10 + 8 * np.sin(hour.hour / 24 * 2 * np.pi) + random.normal(0, 3, len(hour))
    rentals = np.clip(5 * temperature + 20 * (hour.hour > 6) + random.normal(0, 8, len(hour)), 0, None).round()
    return pd.DataFrame(
        {"hour": hour, "station": name, "clock": hour.hour, "temperature": temperature, "rentals": rentals}
    )
