"""The methods of a search: each says which candidates are tried next, whatever runs them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.lazy import np, sklearn
from mlops_assets.modelling.engine import Engine
from mlops_assets.modelling.fitting.search_space import Space, candidates, combinations
from mlops_assets.modelling.fitting.trials import Candidate, Task, Trial, run_trials
from mlops_assets.text import shown

Rungs: TypeAlias = Iterator[tuple[int, Trial]]
"""Trials as they end, each with its rung; only trials of the highest rung, which used the most rows, compare."""

_FACTOR = 3


def by_grid(task: Task, space: Space, trials: int, engine: Engine, at_once: int) -> Rungs:
    """Try all combinations."""
    grid = combinations(space)
    if grid is None:
        endless = [name for name, of in space.items() if of.listed() is None]
        raise DeclarationError(f"a grid cannot list {shown(endless)}: give lists, a step, or method='random'.")
    if len(grid) > trials:
        raise DeclarationError(
            f"the grid has {len(grid):,} combinations, more than trials={trials}. Raise trials, or use method='random'."
        )
    return _all_of(task, grid, engine)


def by_random(task: Task, space: Space, trials: int, engine: Engine, at_once: int) -> Rungs:
    """Try combinations that are drawn by the seed."""
    return _all_of(task, candidates(space, trials, task.seed), engine)


def by_halving(task: Task, space: Space, trials: int, engine: Engine, at_once: int) -> Rungs:
    """Try all on few rows, the best third on three times as many, and so on: what sklearn's HalvingGridSearchCV does.

    A trial ends with the last rung that it takes part in; trials come in the order of their numbers.
    """
    left = [
        Candidate(number=number, params=params) for number, params in enumerate(candidates(space, trials, task.seed))
    ]
    last: dict[int, tuple[int, Trial]] = {}
    rows = len(task.y)
    for rung, resources in enumerate(_resources(task, len(left))):
        of_rung = [replace(candidate, share=resources / rows) for candidate in left]
        ended = {trial.number: trial for trial in run_trials(task, of_rung, engine)}
        last.update({number: (rung, trial) for number, trial in ended.items()})
        scores = np.array([ended[candidate.number].score for candidate in left])
        # Failed trials come first, as in sklearn: NaN is sorted last, and rolled to the front.
        order = np.roll(np.argsort(scores), np.count_nonzero(np.isnan(scores)))
        left = [left[place] for place in order[-math.ceil(len(left) / _FACTOR) :]]
    return iter([last[number] for number in sorted(last)])


def by_optuna(task: Task, space: Space, trials: int, engine: Engine, at_once: int) -> Rungs:
    """Try what TPE proposes, `at_once` at a time: until their scores are known, proposals are taken for bad ones."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise DeclarationError("search method 'optuna' needs optuna: pip install 'mlops_assets[optuna]'.") from error
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        sampler = optuna.samplers.TPESampler(seed=task.seed, constant_liar=at_once > 1)
        study = optuna.create_study(direction="maximize", sampler=sampler)
    finally:
        optuna.logging.set_verbosity(level)
    for first in range(0, trials, at_once):
        numbers = range(first, min(first + at_once, trials))
        proposed = {number: study.ask() for number in numbers}
        tried = [
            Candidate(number=number, params={name: of.suggest(name, proposed[number]) for name, of in space.items()})
            for number in numbers
        ]
        ended: dict[int, Trial] = {}
        for trial in run_trials(task, tried, engine):
            ended[trial.number] = trial
            yield 0, trial
        for number in numbers:  # in one order, whichever ended first
            if ended[number].error is None:
                study.tell(proposed[number], ended[number].score)
            else:
                study.tell(proposed[number], state=optuna.trial.TrialState.FAIL)


METHODS = {"grid": by_grid, "random": by_random, "halving": by_halving, "optuna": by_optuna}


def _all_of(task: Task, params: Sequence[dict[str, Any]], engine: Engine) -> Rungs:
    tried = [Candidate(number=number, params=of_trial) for number, of_trial in enumerate(params)]
    return ((0, trial) for trial in run_trials(task, tried, engine))


def _resources(task: Task, count: int) -> list[int]:
    """Return the rows of each rung: as many as there are on the last, and at least two of each class in each fold."""
    rows, least = len(task.y), 2 * len(task.folds)
    if sklearn.base.is_classifier(task.pipeline):
        least *= task.y.nunique(dropna=False)
    needed = 1 + math.floor(math.log(count, _FACTOR))
    least = max(least, rows // _FACTOR ** (needed - 1))
    if least > rows:
        raise TrainingError(f"search method 'halving' needs at least {least:,} rows to begin with; there are {rows:,}.")
    possible = 1 + math.floor(math.log(rows // least, _FACTOR))
    return [min(_FACTOR**rung * least, rows) for rung in range(min(possible, needed))]
