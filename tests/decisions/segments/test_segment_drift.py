"""Drift of segments: the truth is known, and of the alarms few are false."""

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter
from scipy.stats import ks_2samp

from mlops_assets.decisions.segments.drift import SegmentRows, sampled_rows, segment_drift
from mlops_assets.statistics.segment_distances import SegmentSides, correlation_within

SEGMENTS = 60
NAMES = [f"s{number}" for number in range(SEGMENTS)]
COLUMNS = {
    "normal": lambda values: values,
    "lognormal": np.exp,
    "categories": lambda values: np.array(list("abcdef"), dtype=object)[
        np.clip(np.floor(values + 3), 0, 5).astype(int)
    ],
}


def rows(random, memory, kind, shift=0.0, reference=400, batch=40):
    """Four columns of rows before and after a moment; `shift` of the segments' first column after it."""
    values = random.normal(size=(4, SEGMENTS, reference + batch))
    if memory:
        values = lfilter([np.sqrt(1 - memory**2)], [1, -memory], values)
    values[0, :, reference:] += np.broadcast_to(shift, SEGMENTS)[:, None]
    sides = []
    for part in (slice(0, reference), slice(reference, None)):
        X = pd.DataFrame({f"c{number}": COLUMNS[kind](values[number, :, part]).ravel() for number in range(4)})
        sides.append(sampled_rows(X, np.repeat(np.arange(SEGMENTS), len(X) // SEGMENTS), SEGMENTS))
    return sides


@pytest.mark.parametrize("memory", [0.0, 0.7])
@pytest.mark.parametrize("kind", list(COLUMNS))
def test_where_no_segment_changed_few_batches_have_an_alarm(kind, memory):
    """5% of 12 batches are 0.6; four or more would be one in 300."""
    found = [segment_drift(*rows(np.random.default_rng(n), memory, kind), NAMES, 0.05, 0.02) for n in range(12)]
    assert sum(table["alarm"].any() for table in found) <= 3


@pytest.mark.parametrize(("memory", "batch"), [(0.0, 40), (0.5, 300)])
def test_segments_that_changed_are_found_and_few_others(memory, batch):
    changed = np.arange(SEGMENTS) < 6
    for draw in range(3):
        random = np.random.default_rng(draw)
        sides = rows(random, memory, "normal", np.where(changed, 1.5, 0.0), reference=batch * 12, batch=batch)
        table = segment_drift(*sides, NAMES, 0.05, 0.02)
        assert table["alarm"][changed].mean() > 0.6 and table["alarm"][~changed].sum() <= 1
        assert (table["column"][table["alarm"] & changed] == "c0").all()


def test_autocorrelated_rows_in_few_blocks_are_no_evidence():
    sides = rows(np.random.default_rng(0), 0.9, "normal", 3.0, reference=200)
    assert (segment_drift(*sides, NAMES, 0.05, 0.02)["p"] == 1.0).all()


def one(old, new, **columns):
    """The row of one segment with one column of values before and after."""
    sides = [
        SegmentRows(pd.DataFrame({"a": side}), np.zeros(len(side), int), np.arange(len(side))) for side in (old, new)
    ]
    return segment_drift(*sides, ["s"], 0.05, columns.get("min_effect", 0.02)).iloc[0]


def test_missing_values_new_categories_and_infinities_are_drift():
    random = np.random.default_rng(1)
    plain = random.normal(size=60)
    assert one(plain, np.where(np.arange(60) % 2, np.nan, plain))["alarm"]
    assert one(plain, np.where(np.arange(60) % 2, np.inf, plain))["alarm"]
    assert one(["a", "b"] * 30, ["a", "c"] * 30)["effect"] == 0.5
    assert one([True, False] * 30, [True] * 60)["effect"] == 0.5
    assert not one(plain, plain[::-1])["alarm"]


def test_small_effects_few_rows_and_times_do_not_count():
    assert one(np.zeros(2_000), np.r_[np.zeros(1_900), np.ones(100)], min_effect=0.06)["p"] == 1.0
    assert np.isnan(one(np.zeros(19), np.ones(60))["p"]) and not one(np.zeros(19), np.ones(60))["alarm"]
    days = pd.date_range("2024-01-01", periods=60)
    assert one(days, days + pd.Timedelta("90D"))["column"] == "" and one(days, days)["p"] == 1.0


@pytest.mark.parametrize("values", ["numbers", "ties", "signs"])
def test_distances_are_those_of_scipy(values):
    random = np.random.default_rng(2)
    before, after = random.integers(0, 5, 200), random.integers(0, 4, 150)
    drawn = {"numbers": random.normal(size=350), "ties": random.integers(-3, 3, 350) * 1.0}
    column = drawn.get(values, np.where(np.arange(350) % 2, 0.0, -0.0))
    found = SegmentSides.of(before, after, 5).distances(column)
    for number in range(4):
        expected = ks_2samp(column[:200][before == number], column[200:][after == number]).statistic
        assert found[number] == pytest.approx(expected, abs=1e-12)
    assert found[4] == 0.0


def test_a_sample_keeps_the_order_and_the_place_of_rows():
    segment = np.tile([0, 1, -1], 5_000)
    X = pd.DataFrame({"a": np.arange(15_000)})
    sample = sampled_rows(X, segment, 2)
    assert np.bincount(sample.segment).tolist() == [2_000, 2_000] and set(sample.segment) == {0, 1}
    for number in (0, 1):
        inside = sample.segment == number
        assert (sample.X["a"][inside] == 3 * sample.position[inside] + number).all()
        assert (np.diff(sample.position[inside]) > 0).all()
    assert (sample.duration(2) > 4_900).all()


def test_the_correlation_within_blocks_is_that_of_the_rows():
    random = np.random.default_rng(4)
    block = np.repeat(np.arange(2_000), 5)
    values = np.sqrt(0.3) * random.normal(size=2_000)[block] + np.sqrt(0.7) * random.normal(size=10_000)
    assert correlation_within(values, block, block // 40) == pytest.approx(0.3, abs=0.03)
    assert correlation_within(random.normal(size=10_000), block, block // 40) < 0.02
