"""The change of a metric, with an interval, if a model is judged with and without something."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_assets.lazy import np
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.statistics import students_t
from mlops_assets.statistics.arrays import Floats
from mlops_assets.statistics.groups import Groups
from mlops_assets.statistics.standard_errors import error_of_mean


@dataclass(frozen=True)
class Effect:
    """A change of a metric in its units, positive if the tested feature is of use, and its 95% bounds.

    `p_harms` is the one-sided p of "it is worth nothing or more": small if it harms. Bounds and p are NaN if the metric
    gives no influence of single rows.
    """

    value: float
    low: float
    high: float
    p_harms: float


def effect(value: float, influence: Floats | None, groups: Groups | None = None, widened: float = 1.0) -> Effect:
    """Return an effect from each row's contribution (n,), with Student's t; `widened` stretches the interval.

    For a metric that is not a mean, `influence` is the rows' influence (the infinitesimal jackknife; Efron 1982).
    """
    unknown = Effect(value, np.nan, np.nan, np.nan)
    if influence is None or not np.isfinite(influence).all() or not np.isfinite(value):
        return unknown
    se, freedom = error_of_mean(influence) if groups is None else groups.error_of_mean(influence)
    se *= widened
    if not np.isfinite(se):
        return unknown
    if se == 0.0:
        return Effect(value, value, value, float(value >= 0))
    half = students_t.quantile(0.975, freedom) * se
    return Effect(value, value - half, value + half, students_t.tail(-value / se, freedom))


def difference(
    metric: Metric,
    y: np.ndarray,
    better: Predictions,
    worse: Predictions,
    groups: Groups | None = None,
    widened: float = 1.0,
) -> Effect:
    """Return how much better the metric is for `better` than for `worse`, paired predictions of the same n rows."""
    sign = 1.0 if metric.greater_is_better else -1.0
    value = sign * (metric.function(y, better) - metric.function(y, worse))
    influence = None if metric.influence is None else sign * (metric.influence(y, better) - metric.influence(y, worse))
    return effect(value, influence, groups, widened)


def score(metric: Metric, y: np.ndarray, predictions: Predictions, groups: Groups | None = None) -> Effect:
    """Return the metric itself over n rows: here lower may be better, and `p_harms` has no meaning."""
    influence = None if metric.influence is None else metric.influence(y, predictions)
    return effect(metric.function(y, predictions), influence, groups)
