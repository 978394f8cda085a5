import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from mlops_assets.statistics.benjamini_hochberg import benjamini_hochberg


def test_p_values_are_those_of_statsmodels():
    p = np.random.default_rng(0).random(200) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])


def test_nan_stays_nan_and_is_not_counted():
    p = np.array([0.01, 0.04, np.nan, 0.03])
    assert benjamini_hochberg(p).tolist() == pytest.approx([0.03, 0.04, np.nan, 0.04], nan_ok=True)
    assert len(benjamini_hochberg(np.array([]))) == 0
