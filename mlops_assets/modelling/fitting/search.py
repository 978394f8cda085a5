"""Fit a Pipeline, or search its parameters first; every trial is kept with its score or its reason."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.lazy import np, pd, sklearn
from mlops_assets.modelling.fitting.column_params import refers_to_columns
from mlops_assets.modelling.fitting.parameter_names import full_name
from mlops_assets.modelling.fitting.search_space import Space, as_space, candidates, combinations
from mlops_assets.modelling.metrics import METRICS, suited
from mlops_assets.modelling.metrics.own import is_own
from mlops_assets.modelling.predictions import predict
from mlops_assets.text import did_you_mean, reason, shown

Method = Literal["grid", "random", "halving", "optuna"]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One combination of parameters: mean score over the folds (higher is better, NaN if it failed) and its spread."""

    number: int
    params: dict[str, Any]
    score: float
    std: float
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class SearchResult:
    """The Pipeline fitted on all rows with the best params, those params, and all trials."""

    model: Any
    params: dict[str, Any]
    trials: tuple[Trial, ...]


def fit(pipeline: Any, X: pd.DataFrame, y: pd.Series) -> Any:
    """Fit the Pipeline on all rows of `X` (n, columns) and `y` (n,) and return it; `TrainingError` says why not."""
    try:
        return _fitted(pipeline, X, y)
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
    folds: Sequence[tuple[np.ndarray, np.ndarray]],
    space: Mapping[str, Sequence[Any] | Mapping[str, Any]],
    method: Method,
    trials: int,
    scoring: str,
    seed: int,
    progress: Callable[[Trial], None] | None = None,
) -> SearchResult:
    """Try parameters on the folds, then fit the best on all rows.

    space: for each parameter of the estimator (or "step__parameter") a list of values, or a range {"low", "high",
        "log"?, "step"?}; integer bounds give integers, both bounds included.
    method: "grid" tries all combinations (at most `trials`). "random" draws `trials`. "halving" starts `trials` on few
        rows and keeps the best third on three times as many (Jamieson & Talwalkar 2016). "optuna" proposes `trials` by
        TPE (Bergstra et al. 2011).
    scoring: a metric of the pack ("rmse"; a smaller error scores higher), a scorer of sklearn, or the user's own.
    progress: called with each trial when it is done, in order; for "halving" after all are done.

    Ties go to the earlier trial, NaN never wins. Raises `DeclarationError` for a space that cannot be tried,
    `TrainingError` with the first reason if all trials fail.
    """
    if not space or trials < 1:
        raise DeclarationError(f"search of {len(space)} parameters in {trials} trials: expected at least 1 of each.")
    if method not in _METHODS:
        raise DeclarationError(f"search method {shown(method)} is not known. {did_you_mean(str(method), _METHODS)}")
    for name in filter(refers_to_columns, space):
        raise DeclarationError(
            f"search: {name!r} refers to columns and cannot be searched. Declare it in `params`, by name."
        )
    full_names = {name: full_name(name, pipeline) for name in space}
    task = _Task(pipeline=pipeline, X=X, y=y, folds=folds, score=_scorer(scoring), full_names=full_names)
    done = []
    for rung, trial in _METHODS[method](task, as_space(space), trials, seed):
        done.append((rung, trial))
        if progress is not None:
            progress(trial)
    sound = [(rung, trial) for rung, trial in done if trial.error is None]
    if not sound:
        raise TrainingError(
            f"all {len(done)} trials of {_name(pipeline)} failed; the first: {done[0][1].error}. "
            "Correct the search space, the features or the estimator."
        )
    best = max(sound, key=lambda done: (done[0], done[1].score, -done[1].number))[1]
    return SearchResult(fit(task.with_params(best.params), X, y), best.params, tuple(trial for _, trial in done))


@dataclass(frozen=True, kw_only=True)
class _Task:
    """All that a trial needs."""

    pipeline: Any
    X: pd.DataFrame
    y: pd.Series
    folds: Sequence[tuple[np.ndarray, np.ndarray]]
    score: Callable[[Any, pd.DataFrame, pd.Series], float]
    full_names: Mapping[str, str]

    def with_params(self, params: Mapping[str, Any]) -> Any:
        return sklearn.base.clone(self.pipeline).set_params(**self.by_full_name(params))

    def by_full_name(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {self.full_names[name]: value for name, value in params.items()}


# Each method yields (rung, trial); only trials of the highest rung, which used the most rows, compare.
_Rungs = Iterator[tuple[int, Trial]]


def _grid(task: _Task, space: Space, trials: int, seed: int) -> _Rungs:
    grid = combinations(space)
    if grid is None:
        endless = [name for name, of in space.items() if of.listed() is None]
        raise DeclarationError(f"a grid cannot list {shown(endless)}: give lists, a step, or method='random'.")
    if len(grid) > trials:
        raise DeclarationError(
            f"the grid has {len(grid):,} combinations, more than trials={trials}. Raise trials, or use method='random'."
        )
    return _all_of(task, grid)


def _random(task: _Task, space: Space, trials: int, seed: int) -> _Rungs:
    return _all_of(task, candidates(space, trials, seed))


def _all_of(task: _Task, combinations: Sequence[dict[str, Any]]) -> _Rungs:
    return ((0, _try(task, number, params)) for number, params in enumerate(combinations))


def _try(task: _Task, number: int, params: dict[str, Any]) -> Trial:
    begin = time.perf_counter()
    scores, failure = [], None
    try:
        for train, test in task.folds:
            model = _fitted(task.with_params(params), task.X.iloc[train], task.y.iloc[train])
            scores.append(task.score(model, task.X.iloc[test], task.y.iloc[test]))
        if not np.isfinite(scores).all():
            failure = f"the score is not finite in a fold: {shown(scores)}"
    except DeclarationError:
        raise
    except Exception as error:  # a failed trial is a result, with its reason
        failure = reason(error)
    mean, std = (math.nan, math.nan) if failure else (float(np.mean(scores)), float(np.std(scores)))
    seconds = time.perf_counter() - begin
    return Trial(number=number, params=params, score=mean, std=std, seconds=seconds, error=failure)


def _halving(task: _Task, space: Space, trials: int, seed: int) -> _Rungs:
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401

    params_of_trials = candidates(space, trials, seed)
    grid = [{name: [value] for name, value in task.by_full_name(params).items()} for params in params_of_trials]
    halving = sklearn.model_selection.HalvingGridSearchCV(
        task.pipeline,
        grid,
        scoring=task.score,
        cv=list(task.folds),
        min_resources="exhaust",
        refit=False,
        random_state=seed,
    )
    failures = _fit_keeping_reasons(halving, task)
    results = pd.DataFrame(halving.cv_results_)
    for number, params in enumerate(params_of_trials):
        full = task.by_full_name(params)
        last = results[[tried == full for tried in results["params"]]].iloc[-1]
        score, std = float(last["mean_test_score"]), float(last["std_test_score"])
        seconds = len(task.folds) * float(last["mean_fit_time"] + last["mean_score_time"])
        failure = None if math.isfinite(score) else failures or "the score is not finite"
        score = math.nan if failure else score
        trial = Trial(number=number, params=params, score=score, std=std, seconds=seconds, error=failure)
        yield int(last["iter"]), trial


def _optuna(task: _Task, space: Space, trials: int, seed: int) -> _Rungs:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise DeclarationError("search method 'optuna' needs optuna: pip install 'mlops_assets[optuna]'.") from error
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    finally:
        optuna.logging.set_verbosity(level)
    for number in range(trials):
        proposed = study.ask()
        trial = _try(task, number, {name: of.suggest(name, proposed) for name, of in space.items()})
        if trial.error is None:
            study.tell(proposed, trial.score)
        else:
            study.tell(proposed, state=optuna.trial.TrialState.FAIL)
        yield 0, trial


_METHODS = {"grid": _grid, "random": _random, "halving": _halving, "optuna": _optuna}


def _fitted(pipeline: Any, X: pd.DataFrame, y: pd.Series) -> Any:
    with warnings.catch_warnings():
        # It is about columns without any value, which the step "varying" drops.
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"sklearn\.feature_selection")
        return pipeline.fit(X, y)


def _fit_keeping_reasons(halving: Any, task: _Task) -> str | None:
    """Fit sklearn's search; its message on failed fits is returned as one line instead of a warning."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", sklearn.exceptions.FitFailedWarning)
            halving.fit(task.X, task.y)
    except ValueError as error:
        why = shown(str(error).strip().splitlines()[-1])
        raise TrainingError(f"all trials of {_name(task.pipeline)} failed; the first: {why}.") from error
    failed = [warning for warning in caught if issubclass(warning.category, sklearn.exceptions.FitFailedWarning)]
    return str(failed[0].message).strip().splitlines()[-1][:300] if failed else None


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
