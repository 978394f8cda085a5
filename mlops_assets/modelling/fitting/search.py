"""Fit a Pipeline, or search its parameters first; every trial is kept with its score or its reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from mlops_assets.errors import DeclarationError, EngineError, TrainingError
from mlops_assets.lazy import np, pd, sklearn
from mlops_assets.modelling.engine import Engine, Here, with_one_thread
from mlops_assets.modelling.fitting.column_params import refers_to_columns
from mlops_assets.modelling.fitting.parameter_names import full_name
from mlops_assets.modelling.fitting.search_methods import METHODS
from mlops_assets.modelling.fitting.search_space import as_space
from mlops_assets.modelling.fitting.trials import Fold, Task, Trial, fitted
from mlops_assets.modelling.metrics import METRICS, suited
from mlops_assets.modelling.metrics.own import is_own
from mlops_assets.modelling.predictions import predict
from mlops_assets.text import did_you_mean, reason, shown

Method = Literal["grid", "random", "halving", "optuna"]


@dataclass(frozen=True)
class SearchResult:
    """The Pipeline fitted on all rows with the best params, those params, and all trials."""

    model: Any
    params: dict[str, Any]
    trials: tuple[Trial, ...]


def fit(pipeline: Any, X: pd.DataFrame, y: pd.Series, options: Mapping[str, Any] | None = None) -> Any:
    """Fit the Pipeline on all rows of `X` (n, columns) and `y` (n,) and return it; `TrainingError` says why not.

    options: what the fit of a step takes beside rows, as "step__option".
    """
    try:
        return fitted(pipeline, X, y, options)
    except EngineError:
        raise
    except Exception as error:  # estimators may raise anything on data they cannot handle
        numbers = X.select_dtypes(include="number").astype("float64")
        infinite = [name for name in numbers.columns if np.isinf(numbers[name]).any()]
        where = f" Columns with infinite values: {shown(infinite)}." if infinite else ""
        raise TrainingError(
            f"fitting {_name(pipeline)} on {len(X):,} rows x {X.shape[1]} columns failed: {reason(error)}.{where}"
        ) from error


def search(
    pipeline: Any,
    X: pd.DataFrame,
    y: pd.Series,
    folds: Sequence[Fold],
    space: Mapping[str, Sequence[Any] | Mapping[str, Any]],
    method: Method,
    trials: int,
    scoring: str,
    seed: int,
    *,
    progress: Callable[[Trial], None] | None = None,
    engine: Engine | None = None,
    at_once: int = 1,
    options: Mapping[str, Any] | None = None,
) -> SearchResult:
    """Try parameters on the folds, then fit the best on all rows.

    space: for each parameter of the estimator (or "step__parameter") a list of values, or a range {"low", "high",
        "log"?, "step"?}; integer bounds give integers, both bounds included.
    method: "grid" tries all combinations (at most `trials`). "random" draws `trials`. "halving" starts `trials` on few
        rows and keeps the best third on three times as many (Jamieson & Talwalkar 2016). "optuna" proposes `trials` by
        TPE (Bergstra et al. 2011), `at_once` at a time.
    scoring: a metric of the pack ("rmse"; a smaller error scores higher), a scorer of sklearn, or the user's own.
    progress: called with each trial when it is done; for "halving" after all are done.
    engine: runs the trials; without one they run in this process, in order, with all its threads. The trials, their
        scores and the best one are the same on each engine, however many it runs at a time.
    options: of the last fit, as in `fit`.

    Ties go to the earlier trial, NaN never wins. Raises `DeclarationError` for a space that cannot be tried,
    `TrainingError` with the first reason if all trials fail.
    """
    _check_search(space, method, trials)
    full_names = {name: full_name(name, pipeline) for name in space}
    task = Task(pipeline=pipeline, X=X, y=y, folds=folds, score=_scorer(scoring), full_names=full_names, seed=seed)
    engine = engine or Here()
    tried = replace(task, pipeline=with_one_thread(pipeline)) if engine.one_thread else task
    done = []
    for rung, trial in METHODS[method](tried, as_space(space), trials, engine, at_once):
        done.append((rung, trial))
        if progress is not None:
            progress(trial)
    done.sort(key=lambda of: of[1].number)
    params = _best(pipeline, done).params
    return SearchResult(fit(task.with_params(params), X, y, options), params, tuple(trial for _, trial in done))


def _best(pipeline: Any, done: Sequence[tuple[int, Trial]]) -> Trial:
    """Return the best of the trials with their rungs; `TrainingError` if all of them failed."""
    sound = [(rung, trial) for rung, trial in done if trial.error is None]
    if not sound:
        raise TrainingError(
            f"all {len(done)} trials of {_name(pipeline)} failed; the first: {done[0][1].error}. "
            "Correct the search space, the features or the estimator."
        )
    return max(sound, key=lambda of: (of[0], of[1].score, -of[1].number))[1]


def _check_search(space: Mapping[str, Any], method: str, trials: int) -> None:
    if not space or trials < 1:
        raise DeclarationError(f"search of {len(space)} parameters in {trials} trials: expected at least 1 of each.")
    if method not in METHODS:
        raise DeclarationError(f"search method {shown(method)} is not known. {did_you_mean(str(method), METHODS)}")
    for name in filter(refers_to_columns, space):
        raise DeclarationError(
            f"search: {name!r} refers to columns and cannot be searched. Declare it in `params`, by name."
        )


def _scorer(scoring: str) -> Callable[[Any, pd.DataFrame, pd.Series], float]:
    if scoring in METRICS or is_own(scoring):
        return partial(_score, scoring)
    if scoring not in sklearn.metrics.get_scorer_names():
        hint = did_you_mean(str(scoring), [*METRICS, *sklearn.metrics.get_scorer_names()])
        raise DeclarationError(f"scoring {shown(scoring)} is neither a metric nor a scorer of sklearn. {hint}")
    scorer: Callable[[Any, pd.DataFrame, pd.Series], float] = sklearn.metrics.get_scorer(scoring)
    return scorer


def _score(name: str, model: Any, X: pd.DataFrame, y: pd.Series) -> float:
    predictions = predict(model, X)
    metric = suited(predictions, [name])[0]
    value = float(metric.function(np.asarray(y), predictions))
    return value if metric.greater_is_better else -value


def _name(pipeline: Any) -> str:
    return type(pipeline.steps[-1][1] if hasattr(pipeline, "steps") else pipeline).__name__
