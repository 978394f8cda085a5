"""The kind of problem that a target poses: regression, or classification with two or with more classes."""

from __future__ import annotations

from typing import Literal

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.lazy import pd
from mlops_assets.text import did_you_mean, shown

Problem = Literal["regression", "binary", "multiclass"]

# A number with more distinct values than this is measured, not a class.
MOST_CLASSES_INFERRED = 20


def problem_of(y: pd.Series, kind: str | None = None) -> Problem:
    """Return the problem that the labels `y` pose; missing labels are ignored.

    `kind` is "regression" or "classification". Without it, numbers with more than 20 distinct values mean
    regression, everything else classification. Raises `TrainingError` for no labels, for a single class, and for
    regression on values that are not numbers; `DeclarationError` for any other `kind`.
    """
    if kind not in (None, "regression", "classification"):
        hint = did_you_mean(str(kind), ("regression", "classification"))
        raise DeclarationError(f"problem {shown(kind)} is not known. {hint}")
    labels = y.dropna()
    name = shown(y.name)
    if labels.empty:
        raise TrainingError(f"target {name} has no labels in {len(y):,} rows. Train once labels have arrived.")
    number = pd.api.types.is_numeric_dtype(labels.dtype) and not pd.api.types.is_bool_dtype(labels.dtype)
    if kind == "regression" and not number:
        raise TrainingError(
            f"target {name} is declared as regression but holds {labels.dtype}, e.g. {shown(labels.iloc[0])}; "
            "expected numbers. Convert it, or declare classification."
        )
    classes = labels.nunique()
    if kind == "regression" or (kind is None and number and classes > MOST_CLASSES_INFERRED):
        return "regression"
    if classes == 1:
        raise TrainingError(
            f"target {name} has one class only, {shown(labels.iloc[0])}, in {len(labels):,} labelled rows; "
            "expected at least two. Widen the window or wait for batches that hold another class."
        )
    return "binary" if classes == 2 else "multiclass"
