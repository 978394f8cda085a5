"""Champion and challenger on the same labelled rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from mlops_assets.errors import TrainingError
from mlops_assets.lazy import np
from mlops_assets.modelling.predictions import Predictions


@dataclass(frozen=True)
class Rivals:
    """Labels (n,), both models' predictions for these rows, and the group (n,) of each row, None without groups.

    Predictions are over the classes that either model knows: two classes change what several metrics mean.
    """

    labels: np.ndarray
    champion: Predictions
    challenger: Predictions
    groups: np.ndarray | None

    @classmethod
    def of(cls, y: Any, champion: Predictions, challenger: Predictions, groups: Any) -> Rivals:
        """Return both models on the same rows; raise `TrainingError` if the number of rows differs."""
        labels, rows = np.asarray(y), len(y)
        if not rows == len(champion.value) == len(challenger.value):
            raise TrainingError(
                f"the comparison needs predictions for the same rows: {rows:,} labels, {len(champion.value):,} of the "
                f"champion, {len(challenger.value):,} of the challenger. Score the same holdout with both."
            )
        if groups is not None and len(groups) != rows:
            raise TrainingError(f"groups have {len(groups):,} rows, the labels {rows:,}; expected the same rows.")
        groups = None if groups is None else np.asarray(groups)
        return cls(labels, _over_all_classes(champion, challenger), _over_all_classes(challenger, champion), groups)

    def take(self, rows: np.ndarray) -> Rivals:
        """Return both models on the rows at these positions."""
        groups = None if self.groups is None else self.groups[rows]
        return Rivals(self.labels[rows], self.champion.take(rows), self.challenger.take(rows), groups)

    def apply(self, function: Callable[[Any, Predictions], Any]) -> tuple[Any, Any]:
        """Return the value of a function of labels and predictions for the champion, and for the challenger."""
        return function(self.labels, self.champion), function(self.labels, self.challenger)

    def unsound(self) -> str:
        """Return why predictions or labels cannot be compared, or ""."""
        parts = {
            "of the champion's predictions": self.champion.value,
            "of the champion's probabilities": self.champion.probability,
            "of the challenger's predictions": self.challenger.value,
            "of the challenger's probabilities": self.challenger.probability,
            "labels": self.labels,
        }
        for what, values in parts.items():
            if bad := 0 if values is None else _not_finite(np.asarray(values)):
                return f"{bad:,} {what} are missing or infinite: not comparable"
        return ""


def _over_all_classes(predictions: Predictions, other: Predictions) -> Predictions:
    """Return the predictions over the classes that either model knows; an unknown class has probability 0."""
    if predictions.classes is None or other.classes is None or np.array_equal(predictions.classes, other.classes):
        return predictions
    classes, probability = np.union1d(predictions.classes, other.classes), None
    if predictions.probability is not None:
        probability = np.zeros((len(predictions.probability), len(classes)))
        probability[:, np.searchsorted(classes, predictions.classes)] = predictions.probability
    return replace(predictions, probability=probability, classes=classes)


def _not_finite(values: np.ndarray) -> int:
    if values.dtype.kind in "fc":
        return int(np.count_nonzero(~np.isfinite(values)))
    return sum(value is None or value != value for value in values.ravel()) if values.dtype.kind == "O" else 0
