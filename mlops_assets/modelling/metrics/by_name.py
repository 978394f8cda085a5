"""Metrics by the names that a declaration gives them."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_assets.errors import DeclarationError
from mlops_assets.lazy import np, pd
from mlops_assets.modelling.metrics.built_in import METRICS, probabilities
from mlops_assets.modelling.metrics.definition import Metric
from mlops_assets.modelling.metrics.own import is_own, own_metric
from mlops_assets.modelling.metrics.scorers import metric_of_own, scorer_metric
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.modelling.problem import Problem
from mlops_assets.text import did_you_mean, shown

_TWO_CLASSES_ONLY = {"precision", "recall", "jaccard", "positive_likelihood_ratio", "neg_negative_likelihood_ratio"}
"""Scorers of sklearn that treat one of two classes as the positive one."""

_DEFAULTS: dict[Problem, tuple[str, ...]] = {
    "regression": ("rmse", "mae", "r2"),
    "binary": ("log_loss", "roc_auc", "accuracy"),
    "multiclass": ("log_loss", "accuracy"),
}


def metric(name: str) -> Metric:
    """Return the metric of this name: the pack's, a scorer of sklearn, or the user's own ('package.module:name').

    Scorers are those of `sklearn.metrics.get_scorer_names()`. Metrics that are not the pack's are computed again for
    each resample, so comparisons and intervals draw fewer; see `modelling.scorers`. `DeclarationError` names the
    nearest name if the metric is unknown.
    """
    if name in METRICS:
        return METRICS[name]
    other = metric_of_own(own_metric(name)) if is_own(name) else scorer_metric(name)
    if other is None:
        raise DeclarationError(f"metric {shown(name)} is not known. {did_you_mean(str(name), METRICS)}")
    return other


def default_metrics(problem: Problem) -> tuple[str, ...]:
    """Return the metrics of a problem; the first one decides."""
    return _DEFAULTS[problem]


def scores(y: np.ndarray | pd.Series, predictions: Predictions, names: Sequence[str]) -> dict[str, float]:
    """Return each metric over all rows of `y` (n,); `DeclarationError` if one does not suit the predictions."""
    labels = np.asarray(y)
    return {metric.name: float(metric.function(labels, predictions)) for metric in suited(predictions, names)}


def suited(predictions: Predictions, names: Sequence[str]) -> list[Metric]:
    """Return the metrics of these names if all can be computed from such predictions; else raise `DeclarationError`."""
    kind = "regression" if predictions.classes is None else "classification"
    metrics = [metric(name) for name in names]
    for name, candidate in zip(names, metrics, strict=True):
        if candidate.kind not in (kind, None):
            known = [other.name for other in METRICS.values() if other.kind == kind]
            raise DeclarationError(f"metric {name!r} is for {candidate.kind}, the model does {kind}. Use {known}.")
        if candidate.needs_probability:
            probabilities(predictions)
        if name in _TWO_CLASSES_ONLY and predictions.classes is not None and len(predictions.classes) != 2:
            raise DeclarationError(
                f"metric {name!r} is for two classes, the model has {len(predictions.classes)}. "
                f"Use {name + '_macro'!r} or 'balanced_accuracy'."
            )
    return metrics
