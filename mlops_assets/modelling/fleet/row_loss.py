"""What a model loses on each row, by the metric that a fleet compares models with."""

from __future__ import annotations

from typing import Any

from mlops_assets.errors import TrainingError
from mlops_assets.lazy import np
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.metrics import metric as metric_of
from mlops_assets.modelling.predictions import Predictions, predict


def row_losses(model: Any, X: Any, y: np.ndarray, metric: str | None) -> np.ndarray:
    """Return the loss (n,) of each row by the metric, or by the default of `FleetModel`."""
    predictions = predict(model, X)
    return losses_of(loss_metric(predictions, metric), y, predictions)


def loss_metric(predictions: Predictions, metric: str | None) -> Metric:
    """Return the metric if it is a mean over rows, else the default for such predictions."""
    chosen = None if metric is None else metric_of(metric)
    if chosen is None or chosen.row_loss is None:
        has_probability = predictions.probability is not None
        default = "rmse" if predictions.classes is None else "log_loss" if has_probability else "accuracy"
        chosen = metric_of(default)
    return chosen


def losses_of(metric: Metric, y: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Return the loss (n,) of each row by a metric that is a mean over rows."""
    if metric.row_loss is None:
        raise TrainingError("a fleet compares models by the loss of each row, which the metric does not have.")
    return np.asarray(metric.row_loss(y, predictions), dtype=np.float64)
