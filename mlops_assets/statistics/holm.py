"""Correction of p-values for the number of tests."""

from __future__ import annotations

from mlops_assets.lazy import np
from mlops_assets.statistics.arrays import Floats


def holm_adjustment(p: Floats) -> Floats:
    """Adjust p-values (k,) for k tests by the step-down method of Holm (1979); NaN stays NaN and is not counted."""
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
