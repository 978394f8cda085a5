"""The fitted model's parameters, refitted on fewer columns: the loss without a feature, and the feature alone."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from mlops_assets.errors import EngineError, MlopsAssetsError
from mlops_assets.lazy import np, pd, sklearn
from mlops_assets.modelling.engine import Engine, Here, with_one_thread
from mlops_assets.modelling.feature_worth.cost import milliseconds
from mlops_assets.modelling.feature_worth.effects import Effect, difference, score
from mlops_assets.modelling.fitting.parameter_names import params_of
from mlops_assets.modelling.fitting.search import fit
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions, predict
from mlops_assets.statistics.groups import Groups

Labelled: TypeAlias = "tuple[pd.DataFrame, pd.Series]"
"""Features X (n, columns) and labels y (n,)."""

_LONG = 5.0
"""Seconds of all fits from which an engine fits: to start processes and to send rows takes as long."""


@dataclass
class RefitScores:
    """The metric `alone` (one column), the loss `without` them, milliseconds of 1,000 rows, and why a fit `failed`."""

    alone: Effect | None = None
    without: Effect | None = None
    milliseconds: float | None = None
    failed: str = ""


@dataclass
class _Asked:
    """What the fits share: the model of all columns, and the rows to fit and to judge on."""

    whole: Any
    train: Labelled
    X: pd.DataFrame

    @cached_property
    def milliseconds(self) -> float:
        """What 1,000 predictions of the whole model take in this process: machines differ."""
        return milliseconds(self.whole, self.X)


@dataclass
class _Refitted:
    """Predictions for the holdout without some columns, and from a single one; None where there is no such model."""

    without: Predictions | None = None
    alone: Predictions | None = None
    milliseconds: float | None = None
    failed: str = ""


def refits(
    fitted: Any,
    train: Labelled,
    holdout: Labelled,
    metric: Metric,
    sets: Sequence[tuple[str, ...]],
    groups: Groups | None = None,
    engine: Engine | None = None,
) -> list[RefitScores]:
    """Fit on `train` with all columns, without each of `sets`, and on each single column; judge on `holdout` (m,).

    All are fitted on the same n rows, and losses are paired. Other training rows would give other models, so sqrt(1 + m
    / n) widens the intervals (Nadeau & Bengio 2003, "Inference for the generalization error"). `groups` are those of
    the holdout rows. `engine` fits if that may take more than some seconds.
    """
    engine = engine or Here()
    here = Here(engine.one_thread)
    model, began = with_one_thread(fitted) if engine.one_thread else fitted, time.perf_counter()
    parts = (train, holdout[0])
    [(_, (whole, predictions))] = here.each(_fit_whole, parts, [with_columns(model, list(train[0].columns))])
    long = (time.perf_counter() - began) * len(sets) > _LONG
    y, widened = np.asarray(holdout[1]), float(np.sqrt(1.0 + len(holdout[1]) / len(train[1])))

    def judged(refitted: _Refitted | EngineError) -> RefitScores:
        if isinstance(refitted, EngineError):
            return RefitScores(failed=str(refitted))
        scores = RefitScores(milliseconds=refitted.milliseconds, failed=refitted.failed)
        try:
            if refitted.without is not None:
                scores.without = difference(metric, y, predictions, refitted.without, groups, widened)
            if refitted.alone is not None:
                scores.alone = score(metric, y, refitted.alone, groups)
        except MlopsAssetsError as reason:
            scores.failed = str(reason)
        return scores

    results = dict((engine if long else here).each(_refit, _Asked(whole, *parts), list(sets)))
    return [judged(results[place]) for place in range(len(sets))]


def _fit_whole(parts: tuple[Labelled, pd.DataFrame], model: Any) -> tuple[Any, Predictions]:
    train, X = parts
    whole = fit(model, *train)
    return whole, predict(whole, X)


def _refit(asked: _Asked, columns: tuple[str, ...]) -> _Refitted:
    """Fit without some columns and, if it is one, with this one alone."""
    refitted, (X, y) = _Refitted(), asked.train
    others = [name for name in X.columns if name not in columns]
    try:
        if others:
            less = fit(with_columns(asked.whole, others), X[others], y)
            refitted.without = predict(less, asked.X[others])
            refitted.milliseconds = asked.milliseconds - milliseconds(less, asked.X[others])
        if len(columns) == 1:
            single = fit(with_columns(asked.whole, columns), X[list(columns)], y)
            refitted.alone = predict(single, asked.X[list(columns)])
    except MlopsAssetsError as reason:  # such as a user's Pipeline that needs a certain column
        refitted.failed = str(reason)
    return refitted


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
