import numpy as np
import pytest
from scipy import stats

from mlops_assets.statistics.groups import Groups


def test_groups_of_unlike_size_count_as_fewer():
    groups = Groups.of(["a"] * 90 + ["b"] * 10)
    assert groups.size.tolist() == [90, 10] and groups.effective == pytest.approx(100**2 / (90**2 + 10**2))
    assert Groups.of(["a", None, "b", None]).size.tolist() == [1, 2, 1]
    drawn = np.random.default_rng(0).integers(0, 2, size=(5, 2))
    rows = [np.concatenate([np.flatnonzero(groups.number == group) for group in pair]) for pair in drawn]
    np.testing.assert_array_equal(
        np.vstack(list(groups.weights(5, seed=0))), [np.bincount(each, minlength=100) for each in rows]
    )
    values = np.arange(100.0)[:, None]
    np.testing.assert_allclose(groups.means(values, 5, seed=0)[:, 0], [values[each].mean() for each in rows])


def test_rows_of_one_group_count_as_what_they_are():
    of_group = np.random.default_rng(3).normal(size=40)
    rows, groups = np.repeat(of_group, 10), Groups.of(np.repeat(np.arange(40), 10))
    se, freedom = groups.error_of_mean(rows)
    assert se == pytest.approx(stats.sem(of_group)) and freedom == pytest.approx(39)
    assert se > 3 * stats.sem(rows)
    se, freedom = groups.take(np.arange(200, 400)).error_of_mean(rows[200:])
    assert se == pytest.approx(stats.sem(of_group[20:])) and freedom == pytest.approx(19)
    assert np.isnan(Groups.of(["only"] * 400).error_of_mean(rows)[0])
