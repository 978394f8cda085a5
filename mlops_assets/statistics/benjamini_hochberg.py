"""Correction of p-values for a share of false findings among thousands of tests."""

from __future__ import annotations

from mlops_assets.lazy import np
from mlops_assets.statistics.arrays import Floats


def benjamini_hochberg(p: Floats) -> Floats:
    """Adjust p-values (k,) so that those up to q have an expected share of false ones of at most q.

    The step-up method of Benjamini & Hochberg (1995), for independent or positively dependent tests. NaN stays NaN and
    is not counted.
    """
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return adjusted
