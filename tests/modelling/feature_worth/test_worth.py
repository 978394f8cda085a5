import numpy as np
import pandas as pd
import pytest

from mlops_assets.errors import EngineError
from mlops_assets.modelling.engine import Here, Processes
from mlops_assets.modelling.feature_worth import refitted as feature_refits
from mlops_assets.modelling.feature_worth.refitted import with_columns
from mlops_assets.modelling.feature_worth.worth import feature_tests
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.metrics import metric

FOREST, RIDGE = "sklearn.ensemble.HistGradientBoostingRegressor", "sklearn.linear_model.Ridge"
QUICK = {"max_iter": 30, "max_leaf_nodes": 7}


def rows(seed, count=800):
    """`y` is made of `main` and of what `one` and `two` both hold; `noise` and `text` are nothing to it."""
    random = np.random.default_rng(seed)
    both = random.normal(size=count)
    X = pd.DataFrame(
        {
            "noise": random.normal(size=count),
            "main": random.normal(size=count),
            "one": both + random.normal(0, 0.1, count),
            "two": both + random.normal(0, 0.1, count),
            "text": random.choice(list("abc"), count),
        }
    )
    return X.mask(random.uniform(size=X.shape) < [0, 0.1, 0, 0, 0]), 2 * X["main"] + both + random.normal(size=count)


def judged(train, holdout, estimator=FOREST, params=QUICK, problem="regression", name="rmse", **options):
    model = build(estimator, params if estimator == FOREST else {}, train[0], problem, 0).fit(*train)
    found = feature_tests(model, train, holdout, problem, metric(name), 0, **options)
    return found, {" + ".join(each.columns): each for each in found}


@pytest.mark.parametrize("estimator", [FOREST, RIDGE])
def test_refits_tell_what_earns_what_is_double_and_what_is_noise(estimator):
    found, by_name = judged(rows(1), rows(2), estimator, ablation=True)
    assert by_name["main"].verdict == by_name["one + two"].verdict == "earns"
    assert by_name["noise"].verdict == by_name["text"].verdict == "earns nothing"
    assert {by_name["one"].verdict, by_name["two"].verdict} <= {"replaceable", "earns"}
    assert by_name["one"].without.value < 0.15 * by_name["one + two"].without.value
    assert [each.group for each in found if each.group] == [1, 1, 1]
    assert by_name["main"].without.value > 0.5 and found[0].columns == ("main",)
    assert 1.3 < by_name["main"].alone.value < 1.7  # the root of 1 + 1, and the gaps
    assert by_name["noise"].alone.low > by_name["main"].alone.high


def test_each_of_a_pair_of_copies_can_go_but_not_both():
    def with_copy(seed):
        X, y = rows(seed)
        return X.drop(columns="two").assign(copy=X["one"]), y

    for options in ({"ablation": True}, {}):
        _, by_name = judged(with_copy(1), with_copy(2), **options)
        verdicts = {name: by_name[name].verdict for name in ("one", "copy", "one + copy")}
        assert verdicts["one + copy"] == "earns"
        if options:
            assert verdicts["one"] == verdicts["copy"] == "replaceable"
            for name in ("one", "copy"):
                assert by_name[name].without.low <= 0 <= by_name[name].without.high
        else:
            assert verdicts["copy"] == "replaceable"  # trees took the first of the two


def test_a_feature_that_holds_the_answer_in_training_only_harms():
    random = np.random.default_rng(5)
    (X, y), (later, unseen) = rows(1), rows(2)
    train = X.assign(leak=y + random.normal(0, 0.5, len(y))), y
    holdout = later.assign(leak=random.normal(0, y.std(), len(later))), unseen
    _, by_name = judged(train, holdout, ablation=True)
    assert by_name["leak"].verdict == "harms" and by_name["leak"].without.high < -0.5
    assert by_name["leak"].importance.value > by_name["leak"].without.high  # shuffling noise shows much less


def test_without_refits_importance_judges_and_costs_are_there():
    found, by_name = judged(rows(1), rows(2))
    assert by_name["main"].verdict == "earns" and by_name["noise"].verdict == "earns nothing"
    assert all(each.without is None and each.milliseconds is None for each in found)
    assert by_name["main"].missing == pytest.approx(0.1, abs=0.03) and by_name["noise"].missing == 0.0
    assert by_name["main"].bytes == 8.0 and by_name["one + two"].bytes == 16.0
    assert by_name["main"].alone.high < by_name["noise"].alone.low
    assert found == judged(rows(1), rows(2))[0]


def test_a_classifier_is_judged_by_its_metric():
    (X, y), (later, unseen) = rows(1), rows(2)
    logistic = "sklearn.linear_model.LogisticRegression"
    train, holdout = (X, np.where(y > 0, "yes", "no")), (later, np.where(unseen > 0, "yes", "no"))
    train, holdout = ((part, pd.Series(labels)) for part, labels in (train, holdout))
    _, by_name = judged(train, holdout, logistic, {}, "binary", "roc_auc", ablation=True)
    assert by_name["main"].verdict == "earns" and by_name["noise"].verdict == "earns nothing"
    assert by_name["main"].alone.value == pytest.approx(0.85, abs=0.06)
    assert by_name["noise"].alone.low < 0.5 < by_name["noise"].alone.high


def test_a_metric_without_intervals_gives_no_verdict():
    (X, y), (later, unseen) = rows(1), rows(2)
    _, by_name = judged((X, y), (later, unseen), RIDGE, name="neg_max_error")
    assert {each.verdict for each in by_name.values()} == {"not known"}
    assert by_name["main"].importance.value > 0


def test_a_refit_that_fails_is_told_and_the_others_go_on():
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    def needs_main(X):
        return X.assign(main=X["main"] ** 2)

    (X, y), (later, unseen) = ((part.drop(columns="text").fillna(0.0), label) for part, label in (rows(1), rows(2)))
    model = make_pipeline(FunctionTransformer(needs_main), LinearRegression()).fit(X, y)
    found = feature_tests(model, (X, y), (later, unseen), "regression", metric("rmse"), 0, ablation=True)
    by_name = {" + ".join(each.columns): each for each in found}
    assert "'main'" in by_name["main"].failed and by_name["main"].without is None
    assert by_name["one + two"].without.low > 0


def test_a_model_keeps_its_parameters_when_columns_go():
    X, y = rows(1)
    model = build(RIDGE, {"alpha": 7.5}, X, "regression", 0).set_params(preprocess__numeric__impute__strategy="mean")
    less = with_columns(model.fit(X, y), ["main", "noise"])
    assert less.get_params()["model__alpha"] == 7.5
    assert less.get_params()["preprocess__numeric__impute__strategy"] == "mean"
    less.fit(X[["main", "noise"]], y)
    assert less.named_steps["preprocess"].get_feature_names_out().tolist() == ["noise", "main"]
    assert model.predict(X[:1]).shape == (1,)  # as fitted as before


@pytest.mark.slow
def test_noise_is_seldom_called_anything_else(monkeypatch):
    monkeypatch.setattr(feature_refits, "milliseconds", lambda model, X: 0.0)  # half of the time, no verdict
    called = []
    for seed in range(60):
        _, by_name = judged(rows(2 * seed, 400), rows(2 * seed + 1, 400), RIDGE, ablation=True)
        called += [by_name["noise"].verdict, by_name["text"].verdict]
    assert called.count("harms") <= 4 and called.count("earns nothing") >= 108


@pytest.mark.slow
def test_an_engine_refits_the_same(monkeypatch):
    random = np.random.default_rng(0)
    X = pd.DataFrame(random.normal(size=(300, 3)), columns=list("abc"))
    y = pd.Series((X["a"] + random.normal(size=300) > 0).astype(int))
    forest = {"n_estimators": 10, "n_jobs": 2}
    fitted = build("sklearn.ensemble.RandomForestClassifier", forest, X, "classification", 0).fit(X, y)
    ran, each = [], Processes.each
    monkeypatch.setattr(Processes, "each", lambda *given: ran.append(given[3]) or each(*given))

    def scores(engine):
        found = feature_refits.refits(fitted, (X, y), (X[:200], y[:200]), metric("log_loss"), sets, engine=engine)
        return [(one.alone, one.without, one.failed, one.milliseconds is None) for one in found]

    sets = [("a",), ("b",), ("c",), ("a", "b"), ("a", "b", "c")]
    here = scores(None)
    assert [alone is None for alone, *_ in here] == [False] * 3 + [True] * 2
    assert [without is None for _, without, *_ in here] == [False] * 4 + [True]
    assert scores(Processes(2)) == here and ran == []  # such short fits are not sent
    monkeypatch.setattr(feature_refits, "_LONG", 0.0)
    assert scores(Here(one_thread=True)) == scores(Processes(2)) == here and ran == [sets]


def test_a_feature_whose_fits_end_their_processes_has_failed():
    class Deadly(Here):
        def each(self, function, shared, tasks):
            for place, result in super().each(function, shared, tasks):
                yield place, EngineError("it ended each process") if place == 1 else result

    X = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 2)), columns=list("ab"))
    fitted = build("sklearn.linear_model.Ridge", {}, X, "regression", 0).fit(X, X["a"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_refits, "_LONG", 0.0)
        both = [(X, X["a"])] * 2
        found = feature_refits.refits(fitted, *both, metric("rmse"), [("a",), ("b",)], engine=Deadly())
    assert [one.failed for one in found] == ["", "it ended each process"] and found[1].without is None
