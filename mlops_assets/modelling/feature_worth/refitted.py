"""The fitted model's parameters, refitted on fewer columns: the loss without a feature, and the feature alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from mlops_assets.errors import MlopsAssetsError
from mlops_assets.lazy import np, pd, sklearn
from mlops_assets.modelling.feature_worth.cost import milliseconds
from mlops_assets.modelling.feature_worth.effects import Effect, difference, score
from mlops_assets.modelling.fitting.parameter_names import params_of
from mlops_assets.modelling.fitting.search import fit
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import predict
from mlops_assets.statistics.groups import Groups

Labelled: TypeAlias = "tuple[pd.DataFrame, pd.Series]"
"""Features X (n, columns) and labels y (n,)."""


@dataclass
class RefitScores:
    """The metric `alone` (one column), the loss `without` them, milliseconds of 1,000 rows, and why a fit `failed`."""

    alone: Effect | None = None
    without: Effect | None = None
    milliseconds: float | None = None
    failed: str = ""


def refits(
    fitted: Any,
    train: Labelled,
    holdout: Labelled,
    metric: Metric,
    sets: Sequence[tuple[str, ...]],
    groups: Groups | None = None,
) -> list[RefitScores]:
    """Fit on `train` with all columns, without each of `sets`, and on each single column; judge on `holdout` (m,).

    All are fitted on the same n rows, and losses are paired. Other training rows would give other models, so sqrt(1 + m
    / n) widens the intervals (Nadeau & Bengio 2003, "Inference for the generalization error"). `groups` are those of
    the holdout rows.
    """
    y = np.asarray(holdout[1])
    everything = list(train[0].columns)
    whole = fit(with_columns(fitted, everything), *train)
    predictions, took = predict(whole, holdout[0]), milliseconds(whole, holdout[0])
    widened = float(np.sqrt(1.0 + len(y) / len(train[1])))
    records = []
    for columns in sets:
        records.append(record := RefitScores())
        others = [name for name in everything if name not in columns]
        try:
            if others:
                part = holdout[0][others]
                less = fit(with_columns(fitted, others), train[0][others], train[1])
                record.without = difference(metric, y, predictions, predict(less, part), groups, widened)
                record.milliseconds = took - milliseconds(less, part)
            if len(columns) == 1:
                single = fit(with_columns(fitted, columns), train[0][list(columns)], train[1])
                record.alone = score(metric, y, predict(single, holdout[0][list(columns)]), groups)
        except MlopsAssetsError as reason:  # such as a user's Pipeline that needs a certain column
            record.failed = str(reason)
    return records


def with_columns(fitted: Any, columns: Collection[str]) -> Any:
    """Return the model unfitted, with its parameters; a ColumnTransformer in it picks only columns of `columns`."""
    model = sklearn.base.clone(fitted)
    for part in [model, *params_of(model).values()]:
        if isinstance(part, sklearn.compose.ColumnTransformer):
            steps = [(name, step, _named(selected, columns)) for name, step, selected in part.transformers]
            part.transformers = [step for step in steps if not (isinstance(step[2], list | str) and not step[2])]
    return model


def _named(selected: Any, columns: Collection[str]) -> Any:
    """Return a transformer's columns, restricted to `columns`; a selector that names no column stays unchanged."""
    if isinstance(selected, str):
        return selected if selected in columns else ""
    if isinstance(selected, list | tuple | pd.Index | np.ndarray) and all(isinstance(name, str) for name in selected):
        return [name for name in selected if name in columns]
    return selected
