"""Decay of segments: the truth is known, and of the alarms few are false."""

import numpy as np
import pytest
from scipy.signal import lfilter

from mlops_assets.decisions.segments.decay import segment_decay

SEGMENTS = 120
NAMES = [f"s{number}" for number in range(SEGMENTS)]
LOSSES = {"squared": lambda errors: errors**2, "lognormal": np.exp, "wrong": lambda errors: (errors > 1.3) * 1.0}


def side(random, losses, memory, factor=1.0):
    """Losses of 20 to 56 rows a segment, each on a scale of its own."""
    segment = np.repeat(np.arange(SEGMENTS), random.integers(20, 57, SEGMENTS))
    errors = random.normal(size=len(segment))
    if memory:
        errors = lfilter([np.sqrt(1 - memory**2)], [1, -memory], errors)
    return LOSSES[losses](errors) * np.broadcast_to(factor, SEGMENTS)[segment], segment


def alarms(draw, losses, memory, factor=1.0):
    random = np.random.default_rng([draw, len(losses)])
    before, after = side(random, losses, memory), side(random, losses, memory, factor)
    scale = np.exp(random.normal(size=SEGMENTS))
    before, after = ((values * scale[segment], segment) for values, segment in (before, after))
    return segment_decay(before, after, NAMES, np.sqrt, 0.05, draw)["alarm"].to_numpy()


@pytest.mark.parametrize("memory", [0.0, 0.6])
@pytest.mark.parametrize("losses", list(LOSSES))
def test_where_no_segment_changed_few_batches_have_an_alarm(losses, memory):
    """5% of 12 batches are 0.6; four or more would be one in 300."""
    assert sum(alarms(draw, losses, memory).any() for draw in range(12)) <= 3


def test_segments_that_changed_are_found_and_few_others():
    changed = np.arange(SEGMENTS) < 12
    found = np.array([alarms(draw, "squared", 0.0, np.where(changed, 4.0, 1.0)) for draw in range(8)])
    assert found[:, changed].mean() > 0.5
    assert np.mean(found[:, ~changed].sum(axis=1) / np.maximum(found.sum(axis=1), 1)) < 0.1


def rows_of(*means, rows=60):
    """Rows of segments with these means, that differ by little."""
    noise = np.random.default_rng(3).normal(size=(rows, len(means))) / 20
    return (np.array(means) + noise).T.ravel(), np.repeat(np.arange(len(means)), rows)


def test_the_table_has_the_metric_of_both_sides():
    table = segment_decay(rows_of(4, 9, 1), rows_of(4, 36, 1.02), list("abc"), np.sqrt, 0.05).set_index("segment")
    assert table["holdout"].round(1).to_dict() == {"a": 2.0, "b": 3.0, "c": 1.0}
    assert table.loc["b", ["value", "ratio"]].round(1).to_list() == [6.0, 2.0]
    assert table["alarm"].to_dict() == {"a": False, "b": True, "c": False}
    assert table.loc["c", "p"] == 1.0  # worse for sure, but by less than a tenth
    assert table.loc["b", "p"] < 1e-6 and (table["rows"] == 60).all() and (table["reference_rows"] == 60).all()


def test_few_rows_on_either_side_are_not_tested():
    before, after = rows_of(1, 1, 1), rows_of(9, 9, 9)
    kept = (before[1] != 1) | (np.arange(180) % 4 == 0)
    table = segment_decay((before[0][kept], before[1][kept]), after, list("abcd"), np.sqrt, 0.05).set_index("segment")
    assert table["p"].isna().to_dict() == {"a": False, "b": True, "c": False, "d": True}
    assert table["alarm"].to_dict() == {"a": True, "b": False, "c": True, "d": False}
    assert np.isnan(table.loc["d", "ratio"]) and table.loc["d", "rows"] == 0


def test_losses_that_are_not_finite_are_decay_after_and_no_reference_before():
    before, after = rows_of(1, 1, 1), rows_of(1, 1, 1)
    before[0][130], after[0][70] = np.inf, np.nan
    table = segment_decay(before, after, list("abc"), np.sqrt, 0.05).set_index("segment")
    assert table["alarm"].to_dict() == {"a": False, "b": True, "c": False}
    assert table.loc["b", "p"] == 0.0 and np.isnan(table.loc["c", "p"]) and table.loc["b", "rows"] == 60


def test_a_metric_that_falls_is_decay_too():
    before, after = rows_of(0.1), rows_of(0.4)
    table = segment_decay(before, after, ["a"], lambda mean: 1 - mean, 0.05)
    assert table["alarm"].tolist() == [True] and table["ratio"].round(2).tolist() == [0.67]
