"""By how much a metric changes, with an interval, when a model is judged with and without something."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ErrorOfMean = Callable[[Floats, Integers], tuple[float, float]]
"""Standard error of the mean of a series (n,) and its degrees of freedom, given the positions (n,) of its rows."""


@dataclass(frozen=True)
class Effect:
    """A change of a metric in its units, positive where what is tested is worth something, and its 95% bounds.

    `p_harms` is the one-sided p of "it is worth nothing or more": small where it harms. Bounds and p are NaN where
    the metric tells no influence of single rows.
    """

    value: float
    low: float
    high: float
    p_harms: float


def independent(series: Floats, rows: Integers) -> tuple[float, float]:
    """The error of the mean of independent rows; for rows that hang together give another `ErrorOfMean`."""
    n = len(series)
    return (float(series.std(ddof=1) / np.sqrt(n)), float(n - 1)) if n > 1 else (float("nan"), 1.0)


def by_group(groups: pd.Series) -> ErrorOfMean:
    """The error of the mean where the rows of a group hang together, `groups` (n,) naming that of each row.

    From the sums over groups (Liang & Zeger 1986), with the degrees of freedom of as many groups of equal size
    (Kish 1965); rows without a name are one group.
    """
    number = pd.factorize(groups, use_na_sentinel=False)[0]

    def error(series: Floats, rows: Integers) -> tuple[float, float]:
        of_row = np.unique(number[rows], return_inverse=True)[1]
        size = np.bincount(of_row).astype(np.float64)
        freedom = float(size.sum() ** 2 / np.sum(size**2)) - 1
        if freedom < 1:
            return float("nan"), 1.0
        sums = np.bincount(of_row, series - series.mean())
        return float(np.sqrt(np.sum(sums**2) * (freedom + 1) / freedom)) / len(series), freedom

    return error


def effect(value: float, influence: Floats | None, rows: Integers, error: ErrorOfMean, widened: float = 1.0) -> Effect:
    """An effect from what each row contributes to it (n,), with Student's t; `widened` stretches the interval.

    Of a metric that is no mean, `influence` is the rows' influence (the infinitesimal jackknife; Efron 1982).
    """
    from scipy import stats

    nan = float("nan")
    if influence is None or not np.isfinite(influence).all() or not np.isfinite(value):
        return Effect(value, nan, nan, nan)
    se, freedom = error(influence, rows)
    se *= widened
    if not np.isfinite(se):
        return Effect(value, nan, nan, nan)
    if se == 0.0:
        return Effect(value, value, value, float(value >= 0))
    half = float(stats.t.ppf(0.975, freedom)) * se
    return Effect(value, value - half, value + half, float(stats.t.cdf(value / se, freedom)))


def difference(
    metric: Metric,
    y: np.ndarray,
    better: Predictions,
    worse: Predictions,
    error: ErrorOfMean,
    rows: Integers,
    widened: float = 1.0,
) -> Effect:
    """How much better the metric is of one than of the other model's predictions for the same n rows, in pairs."""
    sign = 1.0 if metric.greater_is_better else -1.0
    value = sign * (metric.function(y, better) - metric.function(y, worse))
    influence = None if metric.influence is None else sign * (metric.influence(y, better) - metric.influence(y, worse))
    return effect(value, influence, rows, error, widened)


def score(metric: Metric, y: np.ndarray, said: Predictions, error: ErrorOfMean, rows: Integers) -> Effect:
    """The metric itself over n rows, as it is: here lower may be better, and `p_harms` means nothing."""
    influence = None if metric.influence is None else metric.influence(y, said)
    return effect(metric.function(y, said), influence, rows, error)


def holm(p: Floats) -> Floats:
    """P-values (k,) adjusted for asking k times (Holm 1979); NaN stays NaN and counts for none."""
    adjusted = np.full(len(p), np.nan)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(order) else steps
    return adjusted
