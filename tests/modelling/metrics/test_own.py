"""A metric that the user wrote: what it is given, which way is better, and what happens where it breaks."""

import importlib

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from mlops_assets import Folder, Gates, ModelPipeline
from mlops_assets.assets.backtest.stored_history import as_loss
from mlops_assets.assets.batch.performance import row_loss
from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.fitting.search import search
from mlops_assets.modelling.metrics import metric, scores
from mlops_assets.modelling.predictions import Predictions

MODULE = """
import numpy as np
from sklearn.metrics import make_scorer, mean_pinball_loss

FINE = 3.0


def overtime(y_true, y_pred):
    return late(y_true - y_pred).mean()


def late(hours):
    return np.clip(hours, 0, None) * FINE


def missed(y_true, y_score, price):
    return float(price * ((y_true == "fraud") * (1 - y_score)).sum())


def gain(y_true, y_pred):
    return float((y_true * y_pred).sum())


def one_class(y_true, y_pred):
    raise ValueError("only one class")


def broken(y_true, y_pred):
    return y_true.no_such_thing


def a_list(y_true, y_pred):
    return [1.0]


missed_fraud = make_scorer(missed, greater_is_better=False, response_method="predict_proba", price=10)
gained = make_scorer(gain)
high_demand = make_scorer(mean_pinball_loss, greater_is_better=False, alpha=0.9)
"""
Y = np.array([1.0, 2.0, 4.0])
SAID = Predictions(np.array([2.0, 2.0, 1.0]))


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """The module of the metrics, under a name that no other test uses."""
    name = f"shop_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def model(shop: str, *metrics: str, **fields) -> ModelPipeline:
    named = [f"{shop}:{name}" for name in metrics]
    estimator = "sklearn.linear_model.Ridge"
    return ModelPipeline(name="m", source=Folder("*.csv"), target="y", estimator=estimator, metrics=named, **fields)


def test_a_function_is_a_cost_and_a_scorer_says_which_way_is_better(shop):
    cost, gained, high = (metric(f"{shop}:{name}") for name in ("overtime", "gained", "high_demand"))
    assert [each.greater_is_better for each in (cost, gained, high)] == [False, True, False]
    assert cost.function(Y, SAID) == pytest.approx(3.0)  # (0 + 0 + 3) / 3 hours at 3.0
    assert gained.function(Y, SAID) == pytest.approx(10.0)
    assert high.function(Y, SAID) == pytest.approx((0.1 * 1 + 0 + 0.9 * 3) / 3)  # its sign is not turned
    names = [f"{shop}:overtime", "mae"]
    assert list(scores(Y, SAID, names)) == names


def test_a_scorer_may_ask_for_probabilities_and_gets_the_labels_of_the_data(shop):
    said = Predictions(np.array(["fine", "fine"]), np.array([[0.4, 0.6], [0.9, 0.1]]), np.array(["fine", "fraud"]))
    found = scores(np.array(["fraud", "fine"]), said, [f"{shop}:missed_fraud"])
    assert found == {f"{shop}:missed_fraud": pytest.approx(10 * 0.4)}
    without = Predictions(said.value, None, said.classes)
    with pytest.raises(DeclarationError, match="a metric needs probabilities"):
        scores(np.array(["fraud", "fine"]), without, [f"{shop}:missed_fraud"])


def test_value_error_says_that_it_is_not_defined_and_anything_else_names_the_metric(shop):
    assert np.isnan(metric(f"{shop}:one_class").function(Y, SAID))
    with pytest.raises(DeclarationError, match=rf"^metric '{shop}:broken' raised AttributeError: .*no_such_thing"):
        metric(f"{shop}:broken").function(Y, SAID)
    with pytest.raises(DeclarationError, match=rf"^metric '{shop}:a_list' returned a list; expected a number$"):
        metric(f"{shop}:a_list").function(Y, SAID)
    with pytest.raises(DeclarationError, match=rf"'{shop}:FINE' is a float; expected a function \(y_true, y_pred\)"):
        metric(f"{shop}:FINE")
    with pytest.raises(DeclarationError, match=rf"'{shop}:overtme': {shop} has no 'overtme'. Did you mean 'overtime'"):
        metric(f"{shop}:overtme")


@pytest.mark.parametrize("method", ["grid", "halving"])
def test_a_search_takes_what_costs_least(method, shop):
    draw = np.random.default_rng(0)
    X = pd.DataFrame({"x": draw.normal(size=300)})
    y = pd.Series(X["x"] * 5 + draw.normal(size=300))
    folds = [(np.arange(0, 200), np.arange(200, 300)), (np.arange(100, 300), np.arange(0, 100))]
    space = {"alpha": [10_000.0, 0.1, 1_000.0]}
    found = search(make_pipeline(Ridge()), X, y, folds, space, method, 3, f"{shop}:overtime", 0)
    assert found.params == {"alpha": 0.1}
    assert all(trial.score < 0 for trial in found.trials)  # greater is better for a search: costs, their sign turned


def test_an_edit_of_the_function_is_a_new_declaration_and_nothing_else_is(shop, tmp_path):
    def version(*metrics: str) -> str:
        return model(shop, *metrics).training_version

    before = [version(name) for name in ("overtime", "missed_fraud", "high_demand")]
    assert len(set(before)) == 3
    assert before == [version(name) for name in ("overtime", "missed_fraud", "high_demand")]
    for old, new in (("np.clip(hours, 0, None)", "np.clip(hours, 1, None)"), ("price=10", "price=11")):
        (tmp_path / f"{shop}.py").write_text(MODULE.replace(old, new) + f"\n# {new}\n")
        importlib.invalidate_caches()
        importlib.reload(importlib.import_module(shop))
        after = [version(name) for name in ("overtime", "missed_fraud", "high_demand")]
        assert [one == other for one, other in zip(before, after, strict=True)] == [
            "clip" not in new,
            "price" not in new,
            True,  # a function of scikit-learn with options of its own
        ]


def test_without_a_metric_of_ones_own_versions_are_what_they_were():
    estimator, holdout = "sklearn.linear_model.Ridge", 0.2  # the default of the release before there were such metrics
    plain = ModelPipeline(name="m", source=Folder("*.csv"), target="y", estimator=estimator, holdout=holdout)
    assert plain.training_version == "af93ddba22d63903"  # as in that release


def test_bounds_and_guards_may_name_it_and_a_misspelt_one_is_told_at_once(shop):
    gates = Gates(maximum={f"{shop}:overtime": 2.0}, guards={f"{shop}:gained": 0.5})
    assert model(shop, gates=gates).gates == gates
    with pytest.raises(DeclarationError, match=rf"gates: '{shop}:overtme': {shop} has no 'overtme'"):
        model(shop, gates=Gates(guards={f"{shop}:overtme": 1.0}))


def test_decay_is_judged_by_what_is_a_mean_over_rows_and_named_by_it(shop):
    own, rmse = metric(f"{shop}:overtime"), metric("rmse")
    for problem, name in (("regression", "mean squared error"), ("binary", "share of wrong labels")):
        assert row_loss([own], problem).name == name
    loss = row_loss([own, rmse], "regression")
    assert loss.name == "rmse"
    assert loss.remark == f"Judged by rmse, since {shop}:overtime is not a mean over rows"


def test_a_back_test_loses_what_a_cost_is_and_what_a_gain_lacks(shop):
    assert as_loss(metric(f"{shop}:overtime"), 3.0) == 3.0
    assert as_loss(metric(f"{shop}:gained"), 500.0) == -500.0
    assert as_loss(metric("r2"), 0.75) == 0.25


def test_it_suits_regression_and_classification(shop):
    assert metric(f"{shop}:gained").kind is None
    draw = np.random.default_rng(1)
    X = pd.DataFrame({"x": draw.normal(size=100)})
    y = pd.Series((X["x"] > 0).astype(int))
    fitted = LogisticRegression().fit(X, y)
    said = Predictions(fitted.predict(X), fitted.predict_proba(X), fitted.classes_)
    assert scores(y, said, [f"{shop}:gained"])[f"{shop}:gained"] == float((y * said.value).sum())
