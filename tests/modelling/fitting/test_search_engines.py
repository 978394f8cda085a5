"""A search gives the same trials, scores and winner on each engine, however many fits it runs at once."""

import math

import numpy as np
import pandas as pd
import pytest
import sklearn.experimental.enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV

from mlops_assets.modelling.engine import Here, Processes
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.search import search
from mlops_assets.modelling.splits import time_folds
from support.noted_fits import NotedFits, noted

RANDOM = np.random.default_rng(0)
X = pd.DataFrame(RANDOM.normal(size=(240, 4)), columns=list("abcd"))
Y = X["a"] + 0.3 * pd.Series(RANDOM.normal(size=240))
FOLDS = time_folds(np.repeat(np.arange(8), 30), 3)
BOOSTING = build("sklearn.ensemble.HistGradientBoostingRegressor", {"max_iter": 4}, X, "regression", 0)
RATE = {"learning_rate": {"low": 0.01, "high": 1.0, "log": True}, "max_depth": [2, 3]}
GRID = {"learning_rate": [0.1, -1.0, 0.3], "max_depth": [2, 3]}


def outcome(result):
    trials = [(trial.number, trial.params, repr(trial.score), repr(trial.std), trial.error) for trial in result.trials]
    return trials, result.params, result.model.predict(X).tobytes()


@pytest.mark.parametrize("method", ["grid", "random", "halving", "optuna"])
def test_a_search_is_the_same_on_each_engine(method):
    options = (BOOSTING, X, Y, FOLDS, GRID if method == "grid" else RATE, method, 11, "rmse", 3)
    seen: list[int] = []
    here = outcome(search(*options, engine=Here(one_thread=True), at_once=4))
    there = outcome(search(*options, engine=Processes(2), at_once=4, progress=lambda trial: seen.append(trial.number)))
    assert here == there
    assert sorted(seen) == [number for number, *_ in here[0]] == list(range(len(here[0])))


def test_proposals_do_not_depend_on_which_trial_ends_first():
    class Backwards:
        one_thread, name = True, "backwards"

        def each(self, function, shared, tasks):
            return iter([(place, function(shared, tasks[place])) for place in reversed(range(len(tasks)))])

    options = (BOOSTING, X, Y, FOLDS, RATE, "optuna", 14, "rmse", 3)
    here = outcome(search(*options, engine=Here(one_thread=True), at_once=4))
    assert here == outcome(search(*options, engine=Backwards(), at_once=4))


@pytest.mark.parametrize("trials", [1, 2, 3, 10])
def test_halving_is_that_of_sklearn(trials):
    ours = search(BOOSTING, X, Y, FOLDS, RATE, "halving", trials, "r2", 5)
    grid = [{f"model__{name}": [value] for name, value in trial.params.items()} for trial in ours.trials]
    theirs = HalvingGridSearchCV(
        BOOSTING, grid, scoring="r2", cv=FOLDS, min_resources="exhaust", refit=False, random_state=5
    ).fit(X, Y)
    last = pd.DataFrame(theirs.cv_results_).assign(text=lambda frame: frame["params"].map(str)).groupby("text").last()
    for trial in ours.trials:
        of_theirs = last.loc[str({f"model__{name}": value for name, value in trial.params.items()})]
        assert (trial.score, trial.std) == (of_theirs["mean_test_score"], of_theirs["std_test_score"])
    assert {f"model__{name}": value for name, value in ours.params.items()} == theirs.best_params_


@pytest.mark.slow
def test_a_trial_that_ends_its_processes_fails_with_the_reason(tmp_path):
    notes = tmp_path / "notes"
    model = build(NotedFits, {"notes": str(notes), "deadly": 2.0}, X, "regression", 0)
    result = search(model, X, Y, FOLDS, {"value": [0.0, 1.0, 2.0, 3.0]}, "grid", 4, "rmse", 0, engine=Processes(2))
    failed = result.trials[2]
    assert math.isnan(failed.score) and "ended each process" in (failed.error or "")
    assert result.params == {"value": 0.0}
    assert all(threads == 1 for *_, threads in noted(notes)[:-1])  # the last is the fit on all rows, in this process
