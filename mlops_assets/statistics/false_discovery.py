"""P-values of many tests, corrected so that few of those that pass are expected to be false."""

from __future__ import annotations

from mlops_assets.lazy import np, scipy
from mlops_assets.statistics.arrays import Floats


def adjusted_p(p: Floats) -> Floats:
    """Return p (k,) corrected by Benjamini & Hochberg's method (1995) over those that are not NaN, which stay NaN."""
    adjusted, tested = np.full(len(p), np.nan), ~np.isnan(p)
    if tested.any():
        adjusted[tested] = scipy.stats.false_discovery_control(p[tested])
    return adjusted
