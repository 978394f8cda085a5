import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from mlops_assets.statistics.holm import holm_adjustment


def test_p_values_are_those_of_statsmodels():
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.7])
    np.testing.assert_allclose(holm_adjustment(p), multipletests(p, method="holm")[1])


def test_nan_stays_nan_and_is_not_counted():
    p = np.array([0.01, 0.04, np.nan, 0.03])
    assert holm_adjustment(p).tolist() == pytest.approx([0.03, 0.06, np.nan, 0.06], nan_ok=True)
    assert len(holm_adjustment(np.array([]))) == 0
