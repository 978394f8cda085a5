import numpy as np
import pytest

from mlops_assets.decisions.groups import Groups


def test_groups_of_unlike_size_count_as_fewer():
    groups = Groups.of(["a"] * 90 + ["b"] * 10)
    assert groups.size.tolist() == [90, 10] and groups.effective == pytest.approx(100**2 / (90**2 + 10**2))
    assert Groups.of(["a", None, "b", None]).size.tolist() == [1, 2, 1]
    rows = list(groups.positions(5, seed=0))
    np.testing.assert_array_equal(
        np.vstack(list(groups.weights(5, seed=0))), [np.bincount(each, minlength=100) for each in rows]
    )
    values = np.arange(100.0)[:, None]
    np.testing.assert_allclose(groups.means(values, 5, seed=0)[:, 0], [values[each].mean() for each in rows])
