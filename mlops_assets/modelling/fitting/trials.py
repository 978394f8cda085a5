"""A trial of a search: one combination of parameters, fitted and scored on each fold."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from mlops_assets.errors import DeclarationError, EngineError
from mlops_assets.lazy import np, pd, sklearn
from mlops_assets.modelling.engine import Engine
from mlops_assets.text import reason, shown

Fold: TypeAlias = "tuple[np.ndarray, np.ndarray]"
"""Positions of the rows to fit on, and of those to score."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One combination of parameters: mean score over the folds (higher is better, NaN if it failed) and its spread."""

    number: int
    params: dict[str, Any]
    score: float
    std: float
    seconds: float
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A combination of parameters to try, on all rows of the folds or on a `share` of them, drawn by a seed."""

    number: int
    params: dict[str, Any]
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """All that the trials of a search share."""

    pipeline: Any
    X: pd.DataFrame
    y: pd.Series
    folds: Sequence[Fold]
    score: Callable[[Any, pd.DataFrame, pd.Series], float]
    full_names: Mapping[str, str]
    seed: int

    def with_params(self, params: Mapping[str, Any]) -> Any:
        """Return the Pipeline, unfitted, with these parameters."""
        full = {self.full_names[name]: value for name, value in params.items()}
        return sklearn.base.clone(self.pipeline).set_params(**full)

    def folds_of(self, candidate: Candidate) -> Iterator[Fold]:
        """Yield the folds; of a share of the rows, drawn anew by the same seed for each part, as sklearn draws them."""
        for fold in self.folds:
            if candidate.share is not None:
                fold = tuple(self._drawn(part, candidate.share) for part in fold)  # type: ignore[assignment]
            yield fold

    def _drawn(self, part: np.ndarray, share: float) -> np.ndarray:
        count = int(share * len(part))
        drawn: np.ndarray = sklearn.utils.resample(part, replace=False, random_state=self.seed, n_samples=count)
        return drawn


def run_trial(task: Task, candidate: Candidate) -> Trial:
    """Fit and score a candidate on each fold; a failed trial is a result, with its reason."""
    begin = time.perf_counter()
    scores, failure = [], None
    try:
        for train, test in task.folds_of(candidate):
            model = fitted(task.with_params(candidate.params), task.X.iloc[train], task.y.iloc[train])
            scores.append(task.score(model, task.X.iloc[test], task.y.iloc[test]))
        if not np.isfinite(scores).all():
            failure = f"the score is not finite in a fold: {shown(scores)}"
    except DeclarationError:
        raise
    except Exception as error:  # estimators may raise anything
        failure = reason(error)
    mean, std = (math.nan, math.nan) if failure else (float(np.mean(scores)), float(np.std(scores)))
    return _trial(candidate, mean, std, time.perf_counter() - begin, failure)


def run_trials(task: Task, candidates: Sequence[Candidate], engine: Engine) -> Iterator[Trial]:
    """Yield the trial of each candidate as it ends; one that ends each process that runs it has failed."""
    for place, trial in engine.each(run_trial, task, candidates):
        if isinstance(trial, EngineError):
            yield _trial(candidates[place], math.nan, math.nan, math.nan, str(trial))
        else:
            yield trial


def fitted(pipeline: Any, X: pd.DataFrame, y: pd.Series, options: Mapping[str, Any] | None = None) -> Any:
    """Fit a Pipeline without the warning of columns that have no value, which its step "varying" drops."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"sklearn\.feature_selection")
        return pipeline.fit(X, y, **(options or {}))


def _trial(candidate: Candidate, score: float, std: float, seconds: float, failure: str | None) -> Trial:
    return Trial(number=candidate.number, params=candidate.params, score=score, std=std, seconds=seconds, error=failure)
