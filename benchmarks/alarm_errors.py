"""False alarms and power of the drift decision on batches of known truth, beside Evidently's default.

    python benchmarks/alarm_errors.py --draws 2000 --only null power

null: false alarms per 100 null batches, each kind of rows; together: the same with the domain classifier, a tenth of
the draws; power: a shift of 0.1 sd in a tenth of the features; visits: real rows, doctor_visits in random order;
evidently: its DataDriftPreset on some of the same batches; speed: 1,000,000 rows x 1,000 columns from parquet.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import lfilter

from mlops_assets.decisions.drift.batch_drift import drift

Row = dict[str, Any]
Times = pd.DatetimeIndex | None
World = Callable[[np.random.Generator, int, int, int], tuple[pd.DataFrame, Times]]

REFERENCE_ROWS = 5_000
BATCHES_A_REFERENCE = 20
ALPHA = 0.01


def independent(draw: np.random.Generator, rows: int, columns: int, start: int) -> tuple[pd.DataFrame, Times]:
    """Normal features that have nothing to do with each other."""
    return _frame(draw.normal(size=(rows, columns))), None


def correlated(draw: np.random.Generator, rows: int, columns: int, start: int) -> tuple[pd.DataFrame, Times]:
    """Normal features, each two of which correlate by 0.7."""
    shared, own = draw.normal(size=(rows, 1)), draw.normal(size=(rows, columns))
    return _frame(np.sqrt(0.7) * shared + np.sqrt(0.3) * own), None


def seasonal(draw: np.random.Generator, rows: int, columns: int, start: int) -> tuple[pd.DataFrame, Times]:
    """A row an hour: a daily cycle and an AR(1) of 0.8, half of the columns as categories."""
    hours = start + np.arange(rows)
    noise = lfilter([1.0], [1.0, -0.8], draw.normal(size=(rows + 100, columns)) * 0.6, axis=0)[100:]
    values = noise + np.sin(2 * np.pi * hours / 24)[:, None]
    values[:, ::2] = np.digitize(values[:, ::2], [-1.0, 0.0, 1.0])
    return _frame(values), pd.Timestamp("2020-01-01") + pd.to_timedelta(hours, unit="h")


def _frame(values: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(values, columns=[f"f{number}" for number in range(values.shape[1])])


def batches(
    world: World, rows: int, columns: int, draws: int, seed: int = 0
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]]:
    """Reference, batch and options of `drift`; a new reference after each 20 batches."""
    draw = np.random.default_rng(seed)
    for number in range(draws):
        if number % BATCHES_A_REFERENCE == 0:
            reference, before = world(draw, REFERENCE_ROWS, columns, 0)
        batch, now = world(draw, rows, columns, REFERENCE_ROWS + 24 * int(draw.integers(0, 200)))
        yield reference, batch, {} if now is None else {"times": (before, now), "season": ("hour",)}


def false_alarms(draws: int, world: World, rows: int, columns: int, together: bool = False) -> Row:
    """How often batches without drift are an alarm."""
    reports = [
        drift(reference, batch, list(reference), ALPHA, together=together, **options)
        for reference, batch, options in batches(world, rows, columns, draws)
    ]
    verdicts = [report.verdict for report in reports]
    return {
        "rows are": world.__name__,
        "features": columns,
        "rows": rows,
        "reference": REFERENCE_ROWS,
        "null batches": draws,
        "together": together,
        "false alarms": verdicts.count("drift"),
        "per 100": 100 * verdicts.count("drift") / draws,
        "unknown": verdicts.count("unknown"),
    }


def power(draws: int, rows: int, columns: int, shift: float = 0.1, together: bool = False) -> Row:
    """How often a shift of `shift` standard deviations in a tenth of independent features is an alarm."""
    seen = 0
    for reference, batch, _ in batches(independent, rows, columns, draws, seed=1):
        moved = batch.copy()
        moved.iloc[:, : columns // 10] += shift
        seen += drift(reference, moved, list(reference), ALPHA, together=together).verdict == "drift"
    return {
        "features": columns,
        "rows": rows,
        "shift (sd)": shift,
        "batches": draws,
        "seen per 100": 100 * seen / draws,
    }


def evidently_alarms(draws: int, world: World, rows: int, columns: int, shift: float = 0.0) -> Row:
    """Batches in which Evidently's DataDriftPreset flags any column, and half of the columns, next to ours."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    flagged, ours = [], 0
    for reference, batch, options in batches(world, rows, columns, draws):
        moved = batch.copy()
        moved.iloc[:, : columns // 10] += shift
        found = Report([DataDriftPreset()]).run(moved, reference).dict()["metrics"]
        flagged.append(next(each["value"]["share"] for each in found if "DriftedColumnsCount" in each["metric_name"]))
        ours += drift(reference, moved, list(reference), ALPHA, together=False, **options).verdict == "drift"
    return {
        "rows are": world.__name__,
        "features": columns,
        "rows": rows,
        "shift (sd)": shift,
        "batches": draws,
        "ours per 100": 100 * ours / draws,
        "Evidently, any column, per 100": 100 * float(np.mean(np.array(flagged) > 0)),
        "Evidently, half of the columns, per 100": 100 * float(np.mean(np.array(flagged) >= 0.5)),
    }


def visits(draws: int, rows: int = 1_000, together: bool = False) -> Row:
    """Null batches of real rows: doctor_visits shuffled anew for each, one batch against all that is left."""
    sys.path.insert(0, str(Path(__file__).parent.parent))
    from defs.doctor_visits.model import randhie

    frame = randhie().drop(columns="row")
    verdicts = []
    for number in range(draws):
        shuffled = frame.sample(frac=1, random_state=number)
        verdicts.append(drift(shuffled[rows:], shuffled[:rows], list(frame), ALPHA, together=together).verdict)
    alarms = verdicts.count("drift")
    return {
        "null batches": draws,
        "rows": rows,
        "together": together,
        "false alarms": alarms,
        "per 100": 100 * alarms / draws,
    }


def speed(draws: int, rows: int = 1_000_000, columns: int = 1_000, chunk: int = 50) -> Row:
    """Seconds and memory of a batch read from parquet by chunks of columns, 100,000 of its rows taken, and decided."""
    import pyarrow.parquet as pq

    names = [f"f{number}" for number in range(columns)]
    reference = pd.DataFrame(np.random.default_rng(0).normal(size=(20_000, columns)).astype(np.float32), columns=names)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "batch.parquet"
        _write(path, rows, names)
        started, cpu = time.perf_counter(), time.process_time()
        taken = np.sort(np.random.default_rng(0).choice(rows, min(rows, 100_000), replace=False))
        parts = []
        for first in range(0, columns, chunk):
            table = pq.read_table(path, columns=names[first : first + chunk], memory_map=True)
            parts.append(pd.DataFrame({name: table[name].to_numpy()[taken] for name in table.column_names}))
        batch = pd.concat(parts, axis=1)
        read, before = time.perf_counter() - started, time.process_time()
        report = drift(reference, batch, names, ALPHA)
        done, decided = time.perf_counter() - started, time.process_time() - before
    return {
        "rows": rows,
        "columns": columns,
        "seconds to read": round(read, 1),
        "CPU seconds to decide": round(decided, 1),
        "seconds": round(done, 1),
        "CPU seconds": round(time.process_time() - cpu, 1),
        "peak GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "verdict": report.verdict,
    }


def _write(path: Path, rows: int, names: list[str]) -> None:
    """Row groups of 50,000 rows, so that writing needs little memory; what reading needs is what is measured."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = np.random.default_rng(1)
    schema = pa.schema([(name, pa.float32()) for name in names])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
        for first in range(0, rows, 50_000):
            size = min(50_000, rows - first)
            values = [draw.standard_normal(size, dtype=np.float32) for _ in names]
            writer.write_table(pa.table(values, schema=schema))


NULLS = [
    (world, rows, columns)
    for columns in (20, 100)
    for world in (independent, correlated, seasonal)
    for rows in (200, 1_000, 5_000)
]
TABLES: dict[str, tuple[Callable[..., Row], float, list[tuple[Any, ...]]]] = {
    "null": (false_alarms, 1.0, NULLS),
    "together": (false_alarms, 0.1, [(*cell, True) for cell in NULLS if cell[2] == 20]),
    "power": (power, 0.1, [(5_000, 20), (5_000, 100)]),
    "visits": (visits, 0.15, [(1_000, False), (1_000, True)]),
    "evidently": (
        evidently_alarms,
        0.025,
        [
            (independent, 200, 20, 0.0),
            (independent, 1_000, 20, 0.0),
            (seasonal, 200, 20, 0.0),
            (independent, 5_000, 20, 0.1),
        ],
    ),
    "speed": (speed, 0.0, [()]),
}
"""What is measured, at which share of the draws, and with what."""


def main(arguments: list[str] | None = None) -> None:
    """Print a line for each cell as soon as it is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(TABLES), default=list(TABLES))
    parser.add_argument("--draws", type=int, default=2_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="a file for the rows of each table")
    asked = parser.parse_args(arguments)
    tables: dict[str, list[Row]] = {}
    for what in asked.only:
        measure, share, cells = TABLES[what]
        draws = max(round(asked.draws * share), 1)
        print(f"\n{what}", flush=True)
        with ProcessPoolExecutor(1 if what == "speed" else asked.processes, mp_context=get_context("spawn")) as pool:
            for row in pool.map(measure, [draws] * len(cells), *zip(*cells, strict=True)):
                print(" | ".join(f"{name}: {value}" for name, value in row.items()), flush=True)
                tables.setdefault(what, []).append(row)
    if asked.json:
        asked.json.write_text(json.dumps(tables))


if __name__ == "__main__":
    main()
