"""The distance of two models on rows with known labels, and the distance of the first one from the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlops_assets.lazy import np, pd
from mlops_assets.modelling.predictions import Predictions


@dataclass(frozen=True)
class Distances:
    """Root mean squares over `rows`: of numbers, or of the probabilities of all classes (a label has probability 1).

    `apart` is between both models, `error` between the first one and the labels, `spread` of the labels about their
    mean.
    """

    rows: int
    apart: float
    error: float
    spread: float


def distances(y: pd.Series, one: Predictions, other: Predictions) -> Distances:
    """Compare two models' predictions of n >= 1 rows with labels `y` (n,); an unknown class has probability 0."""
    if one.classes is None:
        labels, first, second = (np.asarray(v, dtype=np.float64)[:, None] for v in (y, one.value, other.value))
    else:
        classes = list(dict.fromkeys([*y, *np.asarray(one.classes).tolist(), *np.asarray(other.classes).tolist()]))
        labels = _certain(y, classes)
        first, second = (_probabilities(predictions, classes) for predictions in (one, other))
    spread = _root_mean_square(labels, labels.mean(axis=0))
    return Distances(len(y), _root_mean_square(first, second), _root_mean_square(labels, first), spread)


def _probabilities(predictions: Predictions, classes: Sequence[Any]) -> np.ndarray:
    """Return probabilities (n, k) of all k classes; 0 and 1 if the model predicts labels only."""
    if predictions.probability is None:
        return _certain(predictions.value, classes)
    known = pd.DataFrame(predictions.probability, columns=pd.Index(np.asarray(predictions.classes)))
    return known.reindex(columns=pd.Index(classes), fill_value=0.0).to_numpy(dtype=np.float64)


def _certain(labels: Any, classes: Sequence[Any]) -> np.ndarray:
    return np.stack([np.asarray(labels) == name for name in classes], axis=1).astype(np.float64)


def _root_mean_square(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.sum((one - other) ** 2, axis=1))))
