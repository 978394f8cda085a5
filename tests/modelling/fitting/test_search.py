import math

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, RegressorMixin

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.search import fit, search
from mlops_assets.modelling.fitting.trials import Trial
from mlops_assets.modelling.splits import time_folds

RANDOM = np.random.default_rng(0)
X = pd.DataFrame(RANDOM.normal(size=(240, 6)), columns=list("abcdef"))
Y = X["a"] + 0.3 * pd.Series(RANDOM.normal(size=240))
FOLDS = time_folds(np.repeat(np.arange(8), 30), 3)
RIDGE = build("sklearn.linear_model.Ridge", {}, X, "regression", 0)
ALPHA = {"low": 1e-3, "high": 1e4, "log": True}


def run(space=None, method="random", trials=6, scoring="rmse", seed=3, **more):
    return search(RIDGE, X, Y, FOLDS, space or {"alpha": ALPHA}, method, trials, scoring, seed, **more)


def outcomes(trials: tuple[Trial, ...]) -> list[tuple[int, dict, float, float]]:
    return [(trial.number, trial.params, trial.score, trial.std) for trial in trials]


def test_a_grid_finds_what_sklearn_finds():
    from sklearn.model_selection import GridSearchCV

    found = run({"alpha": [1000.0, 1.0, 0.01]}, "grid")
    theirs = GridSearchCV(RIDGE, {"model__alpha": [1000.0, 1.0, 0.01]}, scoring="neg_root_mean_squared_error", cv=FOLDS)
    theirs.fit(X, Y)
    assert [trial.score for trial in found.trials] == pytest.approx(theirs.cv_results_["mean_test_score"])
    assert [trial.std for trial in found.trials] == pytest.approx(theirs.cv_results_["std_test_score"])
    assert found.params["alpha"] == theirs.best_params_["model__alpha"]
    assert found.model.predict(X).tobytes() == theirs.predict(X).tobytes()


@pytest.mark.parametrize("method", ["random", "halving", "optuna"])
def test_same_seed_same_search(method):
    seen: list[Trial] = []
    found, again = run(method=method, progress=seen.append), run(method=method)
    assert outcomes(found.trials) == outcomes(again.trials) == outcomes(tuple(seen))
    assert [trial.number for trial in found.trials] == list(range(6))
    assert outcomes(run(method=method, seed=4).trials) != outcomes(found.trials)
    assert found.model.predict(X).tobytes() == again.model.predict(X).tobytes()
    assert found.model["model"].alpha == found.params["alpha"] < 300
    assert RIDGE["model"].alpha == 1.0


def test_failed_trials_keep_their_reason_and_never_win():
    found = run({"alpha": [-1.0, 5000.0, 0.1]}, "grid")
    failed = found.trials[0]
    assert math.isnan(failed.score) and "'alpha' parameter of Ridge must be a float" in (failed.error or "")
    assert found.params == {"alpha": 0.1}
    with pytest.raises(TrainingError, match="all 1 trials of Ridge failed; the first: InvalidParameterError"):
        run({"alpha": [-1.0]}, "grid")
    with pytest.raises(TrainingError, match=r"all .*trials of Ridge failed.*'alpha' parameter"):
        run({"alpha": [-1.0, -2.0]}, "halving")


class Constant(RegressorMixin, BaseEstimator):
    def __init__(self, value: float = 0.0):
        self.value = value

    def fit(self, X, y):
        self.fitted_ = True
        return self

    def predict(self, X):
        return np.full(len(X), self.value)


def test_a_score_that_is_not_finite_never_wins():
    constant = build(Constant, {}, X, "regression", 0)
    for order in ([np.nan, 5.0, np.inf], [np.inf, 5.0, np.nan]):
        found = search(constant, X, Y, FOLDS, {"value": order}, "grid", 3, "r2", 0)
        assert found.params == {"value": 5.0}
        assert [math.isnan(trial.score) for trial in found.trials] == [True, False, True]
        assert "not finite" in (found.trials[0].error or "")


@pytest.mark.filterwarnings("error")
def test_a_fold_without_any_value_in_a_column_is_searched():
    early = X.assign(lag=X["a"].where(X.index >= 100), city=pd.Series(["x", "y"] * 120).where(X.index >= 100))
    model = build("sklearn.ensemble.HistGradientBoostingRegressor", {}, early, "regression", 0)
    found = search(model, early, Y, FOLDS, {"max_iter": [5]}, "grid", 1, "rmse", 0)
    assert found.trials[0].error is None


def test_ranges_hold_their_bounds_and_types():
    space = {"max_iter": {"low": 1, "high": 3}, "alpha": {"low": 0.5, "high": 1.5, "step": 0.5}, "tol": [1e-3]}
    tried = [trial.params for trial in run(space, trials=40).trials]
    assert {params["max_iter"] for params in tried} == {1, 2, 3}
    assert {params["alpha"] for params in tried} == {0.5, 1.0, 1.5}
    assert all(type(params["max_iter"]) is int for params in tried)
    assert len(run({"alpha": [1.0, 2.0]}, trials=10).trials) == 2


@pytest.mark.parametrize(
    ("space", "method", "scoring", "message"),
    [
        ({"alpa": [1]}, "grid", "rmse", "Ridge has no parameter 'alpa'. Did you mean 'alpha'"),
        ({"alpha": ALPHA}, "grid", "rmse", r"a grid cannot list \['alpha'\]"),
        ({"alpha": list(range(7))}, "grid", "rmse", "7 combinations, more than trials=6"),
        ({"alpha": []}, "grid", "rmse", "search space of 'alpha' is .*expected a list"),
        ({"alpha": "1, 2"}, "grid", "rmse", "expected a list"),
        ({"alpha": {"low": 1, "hi": 2}}, "random", "rmse", "a range has no 'hi'. Did you mean 'high'"),
        ({"alpha": {"low": 2, "high": 1}}, "random", "rmse", "expected low < high"),
        ({"alpha": {"low": 0, "high": 1, "log": True}}, "random", "rmse", "a log range needs low > 0"),
        ({"alpha": [1]}, "gird", "rmse", "search method 'gird' is not known. Did you mean 'grid'"),
        ({"alpha": [1]}, "grid", "rsme", "scoring 'rsme' is neither .* Did you mean 'rmse'"),
        ({"alpha": [1]}, "grid", "accuracy", "metric 'accuracy' is for classification, the model does regression"),
    ],
)
def test_says_what_is_wrong_with_a_search(space, method, scoring, message):
    with pytest.raises(DeclarationError, match=message):
        run(space, method, scoring=scoring)


def test_a_scorer_of_sklearn_will_do():
    found = run({"alpha": [1.0]}, "grid", scoring="neg_root_mean_squared_error")
    assert found.trials[0].score == pytest.approx(run({"alpha": [1.0]}, "grid").trials[0].score)


def test_a_failed_fit_says_why():
    with pytest.raises(
        TrainingError, match=r"fitting Ridge on 240 rows x 6 columns failed: .*infinite values: \['c'\]"
    ):
        fit(RIDGE, X.assign(c=np.inf), Y)
