"""A model's predictions for rows: values, and for classification the probability of each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_assets.disk_frame import ROWS_AT_ONCE
from mlops_assets.errors import FeaturesError, TrainingError
from mlops_assets.lazy import np, pd
from mlops_assets.text import reason, shown


@dataclass(frozen=True)
class Predictions:
    """Predictions for n rows.

    `value` (n,): numbers for regression, labels for classification. `probability` (n, k): a column for each of
    `classes` (k,), in that order; None for regression and for classifiers without probabilities.
    """

    value: np.ndarray
    probability: np.ndarray | None = None
    classes: np.ndarray | None = None

    @property
    def positive(self) -> np.ndarray:
        """Return the probability (n,) of the greater (positive) class of two; raise `TrainingError` without it."""
        if self.probability is None or self.classes is None or len(self.classes) != 2:
            have = "no probabilities" if self.probability is None else f"classes {shown(self.classes)}"
            raise TrainingError(
                f"the probability of a positive class needs two classes with probabilities; got {have}."
            )
        return self.probability[:, 1]

    def frame(self) -> pd.DataFrame:
        """Return columns `prediction` and, unless labels lack probabilities, `score` (n,): a number for each row.

        `score` is the predicted number, the probability of the positive class, or the greatest probability.
        """
        frame = pd.DataFrame({"prediction": self.value})
        if self.classes is None:
            return frame.assign(score=self.value)
        if self.probability is None:
            return frame
        return frame.assign(score=self.positive if len(self.classes) == 2 else self.probability.max(axis=1))

    def take(self, index: np.ndarray) -> Predictions:
        """Return the predictions of the rows at these positions (integers or a boolean mask)."""
        probability = None if self.probability is None else self.probability[index]
        return Predictions(self.value[index], probability, self.classes)


def predict(model: Any, X: pd.DataFrame) -> Predictions:
    """Predict n rows with a fitted sklearn model; columns are matched by name.

    Raises `FeaturesError` that names the missing columns, or says why these cannot be scored.
    """
    missing = [name for name in getattr(model, "feature_names_in_", ()) if name not in X.columns]
    if missing:
        raise FeaturesError(
            f"{len(missing)} of the {len(model.feature_names_in_)} columns that the model was trained on are missing: "
            f"{shown(missing)}. Let the feature function return them."
        )
    classes = getattr(model, "classes_", None)
    try:
        value = np.asarray(model.predict(X))
        if classes is None:
            return Predictions(value.astype(np.float64))
        probability = np.asarray(model.predict_proba(X)) if hasattr(model, "predict_proba") else None
    except (TypeError, ValueError) as error:
        raise FeaturesError(
            f"the model cannot score {len(X):,} rows x {X.shape[1]} columns: {reason(error)}. "
            "Give the features the types that it was trained on."
        ) from error
    return Predictions(value, probability, np.asarray(classes))


def predict_in_parts(model: Any, X: pd.DataFrame) -> Predictions:
    """Predict as `predict`, at most 200,000 rows at a time: the steps of a pipeline copy their rows several times."""
    if len(X) <= ROWS_AT_ONCE:
        return predict(model, X)
    parts = [predict(model, X.iloc[start : start + ROWS_AT_ONCE]) for start in range(0, len(X), ROWS_AT_ONCE)]
    probabilities = [part.probability for part in parts if part.probability is not None]
    return Predictions(
        np.concatenate([part.value for part in parts]),
        np.concatenate(probabilities) if probabilities else None,
        parts[0].classes,
    )
