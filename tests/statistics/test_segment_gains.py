"""Thousands of segments tested at once: known gains are found, and chance is not taken for a gain."""

import numpy as np
import pytest
from scipy import stats

from mlops_assets.statistics.segment_gains import MIN_ROWS, segment_gains

SEGMENTS = 500
LOSSES = {
    "normal": lambda random, n: random.normal(size=n),
    "heavy tails": lambda random, n: random.standard_t(2, n),
    "seldom but badly": lambda random, n: 1 - random.exponential(size=n),
    "squared errors": lambda random, n: random.normal(size=n) ** 2 - 0.6 * random.standard_t(5, n) ** 2,
}


def drawn(kind, seed, gain=0.0, gaining=0):
    """Gains of 500 segments of 10 to 199 rows, on scales of their own; the first `gaining` of them gain."""
    random = np.random.default_rng(seed)
    segment = np.repeat(np.arange(SEGMENTS), random.integers(10, 200, SEGMENTS))
    scale = np.exp(random.normal(size=SEGMENTS))[segment]
    return scale * (LOSSES[kind](random, len(segment)) + gain * (segment < gaining)), segment


@pytest.mark.parametrize("kind", LOSSES)
def test_no_segment_passes_in_most_draws_without_a_gain(kind):
    """Without any gain all that pass are false: the share of draws where some pass is the expected false share."""
    wrong = [segment_gains(*drawn(kind, seed), SEGMENTS, seed).passed(0.05).any() for seed in range(20)]
    # at a true share of 5% there are more than 5 of 20 in 0.03% of all cases
    assert sum(wrong) <= 5


def test_student_alone_would_promote_segments_that_err_seldom_but_badly():
    found = [segment_gains(*drawn("seldom but badly", seed), SEGMENTS, seed) for seed in range(6)]
    alone = [stats.false_discovery_control(each.student[~np.isnan(each.student)]).min() <= 0.05 for each in found]
    assert sum(alone) >= 4
    assert sum(each.passed(0.05).any() for each in found) <= 2


def test_gains_are_found_and_few_others():
    gains, segment = drawn("normal", 1, gain=0.6, gaining=100)
    found = segment_gains(gains, segment, SEGMENTS)
    passed = found.passed(0.05)
    tested = found.rows >= MIN_ROWS
    assert passed[:100].sum() >= 0.7 * tested[:100].sum() and passed[100:].sum() <= 0.1 * passed.sum()
    bonferroni = found.student <= 0.05 / tested.sum()
    assert passed[:100].sum() > bonferroni[:100].sum() + 5


def test_few_rows_are_not_tested_and_equal_models_do_not_gain():
    segment = np.repeat([0, 1, 2, 4], [MIN_ROWS - 1, MIN_ROWS, 100, 100])
    gains = np.where(segment == 4, 1.0, 0.0)
    found = segment_gains(gains, segment, 5)
    assert found.rows.tolist() == [MIN_ROWS - 1, MIN_ROWS, 100, 0, 100]
    assert np.isnan(found.p).tolist() == [True, False, False, True, False]
    assert found.passed(0.05).tolist() == [False, False, False, False, True]


def test_the_result_does_not_depend_on_where_the_rows_of_other_segments_stand():
    gains, segment = drawn("normal", 2, gain=0.5, gaining=50)
    places = np.random.default_rng(0).permutation(len(segment))
    mixed = segment[places]  # each segment's rows keep their order among themselves
    moved = np.empty_like(gains)
    moved[np.argsort(mixed, kind="stable")] = gains
    np.testing.assert_array_equal(segment_gains(gains, segment, SEGMENTS).p, segment_gains(moved, mixed, SEGMENTS).p)
