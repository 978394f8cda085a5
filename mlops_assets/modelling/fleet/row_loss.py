"""What a model loses on each row, by the metric that a fleet compares models with."""

from __future__ import annotations

from typing import Any

from mlops_assets.errors import TrainingError
from mlops_assets.lazy import np
from mlops_assets.modelling.metrics import metric as metric_of
from mlops_assets.modelling.predictions import predict


def row_losses(model: Any, X: Any, y: np.ndarray, metric: str | None) -> np.ndarray:
    """Return the loss (n,) of each row by the metric, or by the default of `FleetModel`."""
    predictions = predict(model, X)
    chosen = None if metric is None else metric_of(metric).row_loss
    if chosen is None:
        has_probability = predictions.probability is not None
        default = "rmse" if predictions.classes is None else "log_loss" if has_probability else "accuracy"
        chosen = metric_of(default).row_loss
    if chosen is None:
        raise TrainingError("a fleet compares models by the loss of each row, which the metric does not have.")
    return np.asarray(chosen(y, predictions), dtype=np.float64)
