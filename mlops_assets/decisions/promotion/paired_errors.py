"""The standard error of the difference of two models' metrics, from a paired t-test on the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlops_assets.lazy import np
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.statistics.arrays import Floats
from mlops_assets.statistics.groups import Groups
from mlops_assets.statistics.standard_errors import error_of_mean

_NEAR = 1e-6
_STEP = 1e-4


def paired_error(
    labels: Any, champion: Predictions, challenger: Predictions, metric: Metric, groups: Groups | None
) -> tuple[float, float]:
    """Return the standard error of the difference in the metric's units and its degrees of freedom, NaN if not defined.

    For a metric f of the mean row loss, f(a) - f(b) over its standard error is the losses' paired t. If few rows carry
    the difference, such as the errors of high prices, a bootstrap of f has unequal spreads. The rows that make the
    difference great bring the bound on the other side too near. Other metrics use the influence of the rows. With
    groups, the sums over each group are independent (Cameron, Gelbach & Miller 2008).
    """
    series = _series(labels, champion, challenger, metric)
    if series is None or not np.isfinite(series).all():
        return float("nan"), float(len(labels) - 1)
    return error_of_mean(series) if groups is None else groups.error_of_mean(series)


def _series(labels: Any, champion: Predictions, challenger: Predictions, metric: Metric) -> Floats | None:
    """Return values of the rows (n,) whose mean has the same error as the difference of the metric, in its units."""
    if metric.row_loss is not None:
        losses = [np.asarray(metric.row_loss(labels, model), dtype=np.float64) for model in (champion, challenger)]
        return (losses[1] - losses[0]) * _slope(metric.from_mean, *(float(loss.mean()) for loss in losses))
    if metric.influence is None:
        return None
    return np.asarray(metric.influence(labels, challenger) - metric.influence(labels, champion), dtype=np.float64)


def _slope(from_mean: Callable[[Any], Any], one: float, other: float) -> float:
    """Return how much the metric changes per unit of the mean loss between the two."""
    if abs(one - other) <= _NEAR * max(abs(one), abs(other)):
        one, other = one * (1 + _STEP), one * (1 - _STEP)
    if one == other:
        return 1.0
    values = from_mean(np.array([one, other]))
    return abs(float(values[0] - values[1]) / (one - other))
