"""The metrics that models are judged by, and what each becomes row by row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.messages import did_you_mean
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.modelling.problem import Problem
from mlops_assets.text import shown

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Metric:
    """A metric as sklearn defines it, plus what a bootstrap needs.

    `function(y, predictions)` gives the metric over all rows; NaN where it is not defined (no rows, one class) or a
    prediction is NaN. `row_loss(y, predictions)` gives (n,) losses, lower is better, whose mean `from_mean` turns into
    the metric (elementwise on arrays); None for metrics that are no function of a mean over rows.
    """

    name: str
    greater_is_better: bool
    kind: Literal["regression", "classification"]
    function: Callable[[np.ndarray, Predictions], float]
    row_loss: Callable[[np.ndarray, Predictions], np.ndarray] | None = None
    from_mean: Callable[[np.ndarray], np.ndarray] = lambda mean: mean


def metric(name: str) -> Metric:
    """The metric of this name; `DeclarationError` with the nearest name if there is none."""
    if name not in METRICS:
        raise DeclarationError(f"metric {shown(name)} is not known. {did_you_mean(str(name), METRICS)}")
    return METRICS[name]


def default_metrics(problem: Problem) -> tuple[str, ...]:
    """The metrics of a problem, the one to decide by first."""
    if problem == "regression":
        return ("rmse", "mae", "r2")
    return ("log_loss", "roc_auc", "accuracy") if problem == "binary" else ("log_loss", "accuracy")


def scores(y: np.ndarray | pd.Series, predictions: Predictions, names: Sequence[str]) -> dict[str, float]:
    """Each metric over all rows of `y` (n,); `DeclarationError` if one does not suit the predictions."""
    labels = np.asarray(y)
    return {chosen.name: float(chosen.function(labels, predictions)) for chosen in suited(predictions, names)}


def suited(predictions: Predictions, names: Sequence[str]) -> list[Metric]:
    """The metrics of these names, all of which can be computed from such predictions; else `DeclarationError`."""
    kind = "regression" if predictions.classes is None else "classification"
    chosen = [metric(name) for name in names]
    for each in chosen:
        if each.kind != kind:
            known = [other.name for other in METRICS.values() if other.kind == kind]
            raise DeclarationError(f"metric {each.name!r} is for {each.kind}, the model does {kind}. Use {known}.")
        if each.name in _NEED_PROBABILITY:
            _probability(predictions)
    return chosen


def _probability(predictions: Predictions) -> np.ndarray:
    if predictions.probability is None:
        raise DeclarationError(
            "a metric needs probabilities, and the estimator has no predict_proba. "
            "Use the metrics accuracy or f1, or an estimator that gives probabilities."
        )
    return predictions.probability


def _classes(predictions: Predictions) -> np.ndarray:
    if predictions.classes is None:
        raise DeclarationError("a metric of classification needs classes, and the model does regression.")
    return predictions.classes


def _difference(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    return np.asarray(predictions.value, dtype=np.float64) - y.astype(np.float64)


def _squared(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(_difference(y, predictions) ** 2)


def _absolute(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    return np.asarray(np.abs(_difference(y, predictions)))


def _relative(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    return np.asarray(_absolute(y, predictions) / np.maximum(np.abs(y.astype(np.float64)), _EPS))


def _r2(y: np.ndarray, predictions: Predictions) -> float:
    if len(y) < 2:
        return float("nan")
    residual = float(_squared(y, predictions).sum())
    total = float(((y.astype(np.float64) - y.astype(np.float64).mean()) ** 2).sum())
    if total == 0.0 and not np.isnan(residual):
        return 1.0 if residual == 0.0 else 0.0
    return 1.0 - residual / total if total else float("nan")


def _class_number(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Position (n,) of each label among the classes; -1 for a class that the model does not know."""
    return np.asarray(pd.Index(_classes(predictions)).get_indexer(pd.Index(y)))


def _surprise(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    number = _class_number(y, predictions)
    given = _probability(predictions)[np.arange(len(y)), np.maximum(number, 0)]
    return np.asarray(-np.log(np.clip(np.where(number < 0, 0.0, given), _EPS, 1.0 - _EPS)))


def _brier(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    number, probability = _class_number(y, predictions), _probability(predictions)
    truth = number[:, None] == np.arange(probability.shape[1])
    loss = ((probability - truth) ** 2).sum(axis=1) + (number < 0)
    return np.asarray(loss / 2 if probability.shape[1] == 2 else loss)


def _wrong(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    return np.asarray(predictions.value != y, dtype=np.float64)


def _f1(y: np.ndarray, predictions: Predictions) -> float:
    if len(y) == 0:
        return float("nan")
    classes = _classes(predictions)
    labels = classes[-1:] if len(classes) == 2 else np.unique(np.concatenate([y, predictions.value]))
    return float(np.mean([_f1_of_class(y == label, predictions.value == label) for label in labels]))


def _f1_of_class(truth: np.ndarray, said: np.ndarray) -> float:
    total = int(truth.sum()) + int(said.sum())
    return 2.0 * int((truth & said).sum()) / total if total else 0.0


def _by_class(score: Callable[[np.ndarray, np.ndarray], float]) -> Callable[[np.ndarray, Predictions], float]:
    """A score of (truth, probability) for two classes; for more, the mean over one class against the rest."""

    def function(y: np.ndarray, predictions: Predictions) -> float:
        probability, classes = _probability(predictions), _classes(predictions)
        if len(classes) == 2:
            return score(y == classes[1], probability[:, 1])
        return float(np.mean([score(y == label, probability[:, column]) for column, label in enumerate(classes)]))

    return function


def _auc(truth: np.ndarray, score: np.ndarray) -> float:
    """Area under the ROC curve from mid-ranks (the Mann-Whitney statistic; Hanley & McNeil 1982)."""
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if positives == 0 or negatives == 0 or np.isnan(score).any():
        return float("nan")
    _, group, size = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2)[group]
    return float((rank[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def _average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    positives = int(truth.sum())
    if positives == 0 or np.isnan(score).any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    found = np.cumsum(truth[order])[last_of_tie]
    return float(np.sum(np.diff(found, prepend=0) / positives * found / (last_of_tie + 1)))


def _of_rows(
    name: str,
    kind: Literal["regression", "classification"],
    row_loss: Callable[[np.ndarray, Predictions], np.ndarray],
    from_mean: Callable[[np.ndarray], np.ndarray] = lambda mean: mean,
    greater_is_better: bool = False,
) -> Metric:
    def function(y: np.ndarray, predictions: Predictions) -> float:
        return float(from_mean(row_loss(y, predictions).mean())) if len(y) else float("nan")

    return Metric(name, greater_is_better, kind, function, row_loss, from_mean)


METRICS: dict[str, Metric] = {
    each.name: each
    for each in (
        _of_rows("rmse", "regression", _squared, np.sqrt),
        _of_rows("mae", "regression", _absolute),
        _of_rows("mape", "regression", _relative),
        Metric("r2", True, "regression", _r2),
        _of_rows("log_loss", "classification", _surprise),
        _of_rows("brier", "classification", _brier),
        _of_rows("accuracy", "classification", _wrong, lambda mean: 1.0 - mean, greater_is_better=True),
        Metric("f1", True, "classification", _f1),
        Metric("roc_auc", True, "classification", _by_class(_auc)),
        Metric("average_precision", True, "classification", _by_class(_average_precision)),
    )
}

_NEED_PROBABILITY = {"log_loss", "brier", "roc_auc", "average_precision"}
