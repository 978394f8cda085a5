"""The scores of some rows, as a worker of an engine makes them: predictions, and categories that are new."""

from __future__ import annotations

from typing import Any

from mlops_assets.lazy import pd
from mlops_assets.modelling.predictions import predict


def score(fitted: Any, X: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the columns of `Predictions.frame` for n rows, and `unseen` of them."""
    return predict(fitted, X).frame(), unseen(fitted, X)


def unseen(fitted: Any, X: pd.DataFrame) -> dict[str, int]:
    """Return the number of rows, for each text column, whose category the model has never seen."""
    encoders = [
        (columns, step[-1] if hasattr(step, "__getitem__") else step)
        for _, step, columns in getattr(getattr(fitted, "named_steps", {}).get("preprocess"), "transformers_", ())
    ]
    return {
        name: int((~X[name].isin(known) & X[name].notna()).sum())
        for columns, encoder in encoders
        if hasattr(encoder, "categories_")
        for name, known in zip(columns, encoder.categories_, strict=True)
    }
