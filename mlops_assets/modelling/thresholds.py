"""A decision threshold and calibrated probabilities, inside the one estimator that is fitted, stored and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mlops_assets.errors import DeclarationError
from mlops_assets.lazy import pd, sklearn
from mlops_assets.modelling.problem import Problem

FOLDS = 4
"""Expanding folds in time, as in a search: the estimator is fitted on rows before those that it is tried on."""

_TUNED_FOR = ("balanced_accuracy", "accuracy", "f1")


@dataclass(frozen=True)
class ThresholdRule:
    """threshold: the probability of the greater of two classes from which it is predicted, or "tuned" for the best.

    "tuned" is for the first of `metrics` that is balanced_accuracy, accuracy or f1, else for balanced_accuracy
    (scikit-learn's TunedThresholdClassifierCV). calibrate: "sigmoid" or "isotonic" (CalibratedClassifierCV).
    fleet: the declared fields of a fleet, by name, if each segment may have a model of its own.
    """

    threshold: float | str | None = None
    calibrate: str | None = None
    metrics: Sequence[str] = ()
    fleet: Any = None

    @property
    def applies(self) -> bool:
        """Whether the rule changes an estimator."""
        return self.threshold is not None or self.calibrate is not None


def with_threshold(estimator: Any, rule: ThresholdRule, problem: Problem, y: pd.Series) -> Any:
    """Wrap the estimator for calibration and its threshold; `y` (n,) are the labels in order of time.

    Raises `DeclarationError` for a regression, for a threshold of more than two classes, and for an estimator without
    probabilities.
    """
    for field, value in (("threshold", rule.threshold), ("calibrate", rule.calibrate)):
        if value is not None and (problem == "regression" or (field == "threshold" and problem != "binary")):
            needed = "two classes" if field == "threshold" else "classes"
            raise DeclarationError(f"{field} is for {needed}, but the target poses a {problem} problem: leave it out.")
    if rule.calibrate is not None:
        estimator = sklearn.calibration.CalibratedClassifierCV(
            estimator, method=rule.calibrate, cv=sklearn.model_selection.TimeSeriesSplit(FOLDS), ensemble=True
        )
    if rule.threshold is None:
        return estimator
    if not hasattr(type(estimator), "predict_proba"):
        raise DeclarationError(
            f"threshold: {type(estimator).__name__} gives no probabilities. Declare `calibrate`, or another estimator."
        )
    return _threshold_classifier(estimator, rule, y)


def _threshold_classifier(estimator: Any, rule: ThresholdRule, y: pd.Series) -> Any:
    positive = y.dropna().max()
    positive = positive.item() if hasattr(positive, "item") else positive
    if isinstance(rule.threshold, float):
        return sklearn.model_selection.FixedThresholdClassifier(
            estimator, threshold=rule.threshold, pos_label=positive, response_method="predict_proba"
        )
    best = next((name for name in rule.metrics if name in _TUNED_FOR), _TUNED_FOR[0])
    metrics, selection = sklearn.metrics, sklearn.model_selection
    of_positive = metrics.make_scorer(metrics.f1_score, pos_label=positive)
    return selection.TunedThresholdClassifierCV(
        estimator,
        scoring=of_positive if best == "f1" else metrics.get_scorer(best),
        response_method="predict_proba",
        cv=selection.TimeSeriesSplit(FOLDS),
    )
