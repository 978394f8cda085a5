"""Drift where rows hang together in time, and where a batch has a season."""

import re
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from mlops_assets.decisions.drift.batch_drift import Pair
from mlops_assets.decisions.drift.batch_drift import drift as drift_and_together
from mlops_assets.decisions.drift.season import match_rows
from mlops_assets.statistics.effective_rows import Side, effective_rows

drift = partial(drift_and_together, together=False)
START = pd.Timestamp("2020-01-01")


def hanging_together(draw, rows, columns=10, rho=0.9):
    noise = draw.normal(size=(rows + 200, columns)) * np.sqrt(1 - rho**2)
    values = lfilter([1.0], [1.0, -rho], noise, axis=0)[200:]
    return pd.DataFrame(values, columns=[f"f{number}" for number in range(columns)])


def hours(rows, start=0):
    return START + pd.to_timedelta(start + np.arange(rows), unit="h")


def alarms(reports):
    return sum(report.verdict == "drift" for report in reports)


@pytest.mark.parametrize("rows", [200, 1_000])
def test_rows_that_hang_together_raise_no_false_alarms(rows):
    draw = np.random.default_rng(rows)
    reference = hanging_together(draw, 20_000)
    reports = [drift(reference, hanging_together(draw, rows), list(reference)) for _ in range(25)]
    assert alarms(reports) == 0
    assert all(report.verdict == "no drift" for report in reports)


def test_a_reference_thinned_by_sampling_does_as_well_with_times():
    draw = np.random.default_rng(3)
    everything = hanging_together(draw, 40_000)
    kept = np.sort(draw.choice(40_000, 4_000, replace=False))
    reference, times = everything.iloc[kept], hours(40_000)[kept]
    reports = [
        drift(reference, hanging_together(draw, 500), list(reference), times=(times, hours(500, 50_000)))
        for _ in range(40)
    ]
    assert alarms(reports) <= 1


def test_a_shift_is_still_found_where_rows_hang_together():
    draw = np.random.default_rng(4)
    reference = hanging_together(draw, 20_000)
    moved = hanging_together(draw, 5_000).assign(f1=lambda frame: frame["f1"] + 1.0)
    report = drift(reference, moved, list(reference))
    assert [each.feature for each in report.features if each.verdict == "drift"] == ["f1"]
    assert "rows are autocorrelated: the batch is worth" in report.features[1].note


def test_the_effective_rows_of_an_autoregression_are_those_of_the_textbook():
    """The mean of an AR(1) of 0.8 varies (1 + 0.8) / (1 - 0.8) = 9 times as much; shares a little less."""
    draw = np.random.default_rng(5)
    codes = [(hanging_together(draw, rows, 1, 0.8)["f0"].to_numpy() > 0).astype(np.int64) for rows in (20_000, 5_000)]
    found = effective_rows(codes, 2, (Side(20_000), Side(5_000)), cumulative=False)
    # the signs of two normals that correlate by r do so by 2 / pi arcsin(r)
    lags = 0.8 ** np.arange(1, 200)
    expected = 5_000 / (1 + 2 * np.sum(2 / np.pi * np.arcsin(lags)))
    assert found.batch == pytest.approx(expected, rel=0.25)


def test_independent_rows_count_as_they_are():
    draw = np.random.default_rng(6)
    codes = [draw.integers(0, 16, rows) for rows in (20_000, 1_000)]
    found = effective_rows(codes, 16, (Side(20_000), Side(1_000)), cumulative=True)
    assert (found.reference, found.batch, found.blocks) == (20_000, 1_000, 0)


def test_too_few_blocks_are_unknown():
    draw = np.random.default_rng(7)
    minutes = pd.to_timedelta(np.arange(100), unit="min")
    times = [(START + pd.Timedelta(days=30 * number)) + minutes for number in range(5)]
    levels = [pd.DataFrame({"x": level + draw.normal(0, 0.1, 100)}) for level in draw.normal(size=5)]
    before = times[0].append(times[1:4])
    report = drift(pd.concat(levels[:4]), levels[4], ["x"], times=(before, times[4]))
    assert report.verdict == "unknown"
    assert report.features[0].note.startswith("rows are autocorrelated over long stretches: ")


def daily(draw, rows, start=0):
    at = hours(rows, start)
    return pd.DataFrame({"load": np.sin(2 * np.pi * at.hour / 24) + draw.normal(0, 0.5, rows)}), at


def nights(frame, at):
    night = at.hour < 6
    return frame[night], at[night]


def test_a_batch_of_nights_is_held_against_nights():
    draw = np.random.default_rng(8)
    reference, before = daily(draw, 17_520)
    batch, now = nights(*daily(draw, 2_400, 20_000))
    assert drift(reference, batch, ["load"]).verdict == "drift"
    report = drift(reference, batch, ["load"], times=(before, now), season=("hour",))
    assert report.verdict == "no drift"
    assert report.matched == "hour: 100.0% of the batch's rows, in 6 cells that the reference holds"
    moved = drift(reference, batch + 0.5, ["load"], times=(before, now), season=("hour",))
    assert moved.verdict == "drift"


def test_cells_have_the_shares_of_the_batch():
    draw = np.random.default_rng(9)
    at = hours(20_000)
    reference = pd.DataFrame({"early": at.hour < 12})
    now = hours(2_400)[draw.random(2_400) < np.where(hours(2_400).hour < 12, 0.9, 0.3)]
    report = drift(
        reference, pd.DataFrame({"early": now.hour < 12}), ["early"], times=(at, now), season=("hour", "weekday")
    )
    assert report.features[0].effect == pytest.approx(0.0, abs=1e-9)


def test_a_month_never_trained_on_is_unknown_never_no_drift():
    draw = np.random.default_rng(10)
    reference, before = daily(draw, 24 * 90)
    batch, now = daily(draw, 24 * 30, 24 * 100)
    report = drift(reference, batch, ["load", "load"], times=(before, now), season=("month",))
    assert (report.verdict, [each.verdict for each in report.features]) == ("unknown", ["unknown"])
    assert report.features[0].note == "100.0% of the batch's rows are of a season (month) that the reference lacks"
    assert report.p != report.p


def hourly_years(draw, years, spread):
    """A reference of so many years and the year after it; each month of each year has a level of its own."""
    at = pd.date_range("2020-01-01", f"{2020 + years}-12-31 23:00", freq="h")
    months = pd.factorize(at.year * 12 + at.month)[0]
    noise = lfilter([1.0], [1.0, -0.5], draw.normal(size=len(at)))
    levels = draw.normal(0, spread, months.max() + 1)[months]
    frame = pd.DataFrame({"load": 3 * np.sin(2 * np.pi * at.dayofyear / 365) + noise + levels})
    old = at.year < 2020 + years
    return (frame[old], at[old]), [
        (frame[~old & (at.month == month)], at[~old & (at.month == month)]) for month in MONTHS
    ]


MONTHS = (1, 4, 6, 9, 12)


def test_months_of_which_the_reference_holds_one_are_unknown_never_drift():
    """Of 30 months held against one year, 15 were "drift": one June does not tell how Junes differ."""
    draw = np.random.default_rng(12)
    (reference, before), batches = hourly_years(draw, 1, 1.0)
    label = Pair(name="label", kind="target", reference=reference["load"], batch=None)
    for batch, now in batches:
        found = drift(
            *(reference, batch, ["load"]),
            times=(before, now),
            season=("month", "hour"),
            extra=[replace(label, batch=batch["load"])],
        )
        assert [found.verdict, *(each.verdict for each in found.features)] == ["unknown"] * 3
        named = f"one {now[0].month_name()}"
        why = f"the reference holds {named}; two are needed to know how far {named} is from another"
        assert {each.note for each in found.features} == {why}


def test_months_of_several_years_are_compared():
    draw = np.random.default_rng(13)
    (reference, before), batches = hourly_years(draw, 5, 0.1)
    calm, moved = (
        [
            drift(reference, batch + shift, ["load"], times=(before, now), season=("month", "hour")).verdict
            for batch, now in batches
        ]
        for shift in (0.0, 4.0)
    )
    assert calm.count("drift") == 0 and calm.count("no drift") >= 3
    assert moved.count("drift") >= 4


@pytest.mark.parametrize(
    ("season", "reference", "batch", "why"),
    [
        (("weekday",), ("2024-01-01", 7 * 24, "h"), ("2024-01-17", 96, "15min"), "one Wednesday"),
        (("hour",), ("2024-01-01", 24 * 60, "min"), ("2024-01-17 05:00", 120, "min"), "one hour from 05:00"),
        (("weekday", "hour"), ("2024-01-01", 21 * 24 * 4, "15min"), ("2024-02-05", 96, "15min"), ""),
        (
            ("hour",),
            ("2024-01-01", 24 * 60, "min"),
            ("2024-01-17", 3 * 24 * 60, "min"),
            "",
        ),  # three days are no one day
        (("month",), ("2024-03-01", 20_000, "min"), ("2024-03-15", 1_000, "min"), ""),  # of the same March
        (
            ("month",),
            ("2023-06-01", 366 * 24, "h"),
            ("2024-06-03", 20 * 24, "h"),
            "one June",
        ),  # a day is no second June
        (("month",), ("2023-06-01", 395 * 24, "h"), ("2025-06-01", 30 * 24, "h"), ""),
    ],
)
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_a_cycle_longer_than_the_batch_is_needed_twice(season, reference, batch, why, zone):
    times = tuple(pd.date_range(begin, periods=rows, freq=step, tz=zone) for begin, rows, step in (reference, batch))
    rows = (np.arange(len(times[0])), np.arange(len(times[1])))
    assert (
        (why in match_rows(rows, times, season).obstacle) if why else (match_rows(rows, times, season).obstacle == "")
    )


@pytest.mark.slow
def test_the_classifier_keeps_its_level_where_rows_hang_together():
    draw = np.random.default_rng(11)
    reference = hanging_together(draw, 10_000, 4)
    found = [
        drift_and_together(reference, hanging_together(draw, 1_000, 4), list(reference)).features[-1].p
        for _ in range(12)
    ]
    assert np.sum(np.array(found) < 0.01) <= 1


def test_a_batch_of_one_moment_is_held_against_years_without_a_cell_for_each_second():
    """Rows stamped with their date alone, or by a loader within a second: 31 million seconds once made 3.7 GB."""
    import tracemalloc

    draw = np.random.default_rng(0)
    reference, before = (
        draw.normal(size=5_000).cumsum(),
        pd.to_datetime("2020-01-01") + pd.to_timedelta(np.sort(draw.integers(0, 1_000, 5_000)), unit="D"),
    )
    batch, now = draw.normal(size=500).cumsum(), pd.DatetimeIndex(["2023-01-01"] * 500)
    tracemalloc.start()
    report = drift(pd.DataFrame({"x": reference}), pd.DataFrame({"x": batch}), ["x"], times=(before, now))
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert report.features[0].verdict in ("unknown", "no drift")


def test_rows_that_hang_together_and_cannot_be_measured_are_unknown():
    draw = np.random.default_rng(0)
    smooth = np.convolve(draw.normal(size=2_020), np.ones(21), "valid")
    reference, batch = smooth[:1_500], smooth[1_500:]
    times = (
        pd.date_range("2020-01-01", periods=1_500, freq="80min"),
        pd.date_range("2023-01-01", periods=500, freq="100ms"),
    )
    report = drift(pd.DataFrame({"x": reference}), pd.DataFrame({"x": batch}), ["x"], times=times)
    assert report.features[0].verdict == "unknown"
    assert report.features[0].note.startswith("rows are autocorrelated over long stretches: 1 blocks")


@pytest.mark.parametrize("season", [("hour", "month"), ("month", "hour")])
def test_a_month_seen_once_is_unknown_whichever_part_of_the_season_comes_first(season):
    draw = np.random.default_rng(12)
    reference, batch = (pd.DataFrame({"x": draw.normal(size=rows)}) for rows in (24 * 366, 24 * 14))
    report = drift(reference, batch, ["x"], times=(hours(24 * 366), hours(24 * 14, 24 * 380)), season=season)
    assert report.verdict == "unknown"
    assert report.features[0].note.startswith("the reference holds one January")


def taking_turns(draw, rows):
    """Codes 0 to 3: a state lasts ten rows on average, and chance takes one of its two codes in each row."""
    fresh = np.maximum.accumulate(np.where(draw.random(rows) < 0.1, np.arange(rows), 0))
    return 2 * (draw.random(rows) < 0.45)[fresh] + (draw.random(rows) < 0.5)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [0, 3, 1, 2], [2, 0, 3, 1]])
def test_autocorrelated_categories_count_as_fewer_rows_in_any_order_of_their_codes(order):
    draw = np.random.default_rng(13)
    codes = tuple(np.array(order)[taking_turns(draw, rows)] for rows in (20_000, 5_000))
    found = effective_rows(codes, 4, (Side(20_000), Side(5_000)), cumulative=False)
    # one code's share is 0.275; its variance is 0.199, of which the state has 0.062, with a correlation of 0.9^lag
    expected = 5_000 / (1 + 2 * 9 * 0.062 / 0.199)
    assert found.blocks and found.batch == pytest.approx(expected, rel=0.3)


def test_categories_are_compared_by_their_shares_not_by_cumulative_ones():
    draw = np.random.default_rng(14)
    frames = [pd.DataFrame({"x": taking_turns(draw, rows).astype(str)}) for rows in (20_000, 5_000)]
    (found,) = drift(*frames, ["x"]).features
    assert found.verdict == "no drift"
    # cumulative shares would leave 5,000 / 19
    assert int(re.search(r"worth ([\d,]+)", found.note)[1].replace(",", "")) == pytest.approx(760, rel=0.3)
