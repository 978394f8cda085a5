import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from mlops_assets.dotted import resolve
from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.search import fit
from mlops_assets.modelling.predictions import predict

RIDGE = "sklearn.linear_model.Ridge"
BOOSTING = "sklearn.ensemble.HistGradientBoostingRegressor"


def table(rows: int = 200) -> tuple[pd.DataFrame, pd.Series]:
    random = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "number": random.normal(size=rows),
            "whole": pd.array(random.integers(0, 9, rows), dtype="Int64"),
            "flag": random.random(rows) > 0.5,
            "empty": np.nan,
            "city": random.choice(["Rome", "Oslo", "Bonn"], rows),
            "size": pd.Categorical(random.choice(["s", "m"], rows)),
        }
    )
    y = X["number"] + X["flag"] + 2 * (X["city"] == "Rome")
    X.loc[::7, ["number", "whole", "city", "size"]] = None
    return X, y


@pytest.mark.parametrize("estimator", [RIDGE, BOOSTING])
def test_scores_what_it_never_saw_in_any_order_of_columns(estimator):
    X, y = table()
    model = fit(build(estimator, {}, X, "regression", seed=1), X, y)
    new = X.head(20).assign(city="Lima", size="xl", number=np.nan, whole=3, flag=True)
    said = predict(model, new).value
    assert np.isfinite(said).all()
    shuffled = new.assign(another="column")[["another", *reversed(new.columns)]]
    assert predict(model, shuffled).value.tolist() == said.tolist()
    assert np.corrcoef(predict(model, X).value, y)[0, 1] > 0.8


def test_preprocessing_suits_the_estimator():
    X, y = table()
    ridge = build(RIDGE, {}, X, "regression", 0).fit(X, y)["preprocess"]
    assert isinstance(ridge.named_transformers_["categorical"], OneHotEncoder)
    assert np.isfinite(ridge.transform(X)).all()
    boosting = fit(build(BOOSTING, {}, X, "regression", 0), X, y)["preprocess"]
    assert isinstance(boosting.named_transformers_["categorical"], OrdinalEncoder)
    kept = boosting.transform(X)
    assert kept.dtype == np.float64
    assert kept[:, 0] == pytest.approx(X["number"].to_numpy(), nan_ok=True)


def test_same_seed_same_bytes_and_every_random_state_is_set():
    X, y = table()
    forest = "sklearn.ensemble.RandomForestRegressor"
    params = {"n_estimators": 5}
    said = [predict(build(forest, params, X, "regression", seed).fit(X, y), X).value for seed in (1, 1, 2)]
    assert said[0].tobytes() == said[1].tobytes() != said[2].tobytes()
    own = make_pipeline(StandardScaler(), LogisticRegression())
    built = build(lambda: own, {}, X, "binary", 7)
    assert built is own
    assert built.get_params()["logisticregression__random_state"] == 7
    kept = build("sklearn.linear_model.LogisticRegression", {"random_state": 3}, X, "binary", 7)
    assert kept["model"].random_state == 3


def test_takes_a_class_or_a_function():
    X, _ = table()
    assert build(Ridge, {"alpha": 2.0}, X, "regression", 0)["model"].alpha == 2.0
    built = build(lambda depth: HistGradientBoostingClassifier(max_depth=depth), {"depth": 2}, X, "binary", 0)
    assert isinstance(built, Pipeline) and built["model"].max_depth == 2


@pytest.mark.parametrize(
    ("dotted", "message"),
    [
        ("sklearn.linear_model.Rigde", "sklearn.linear_model has no 'Rigde'. Did you mean 'Ridge'"),
        ("sklearn.linear_modle.Ridge", "sklearn has no 'linear_modle'. Did you mean 'linear_model'"),
        ("not_installed_here.Model", "no module 'not_installed_here'. Install it"),
        ("Ridge", "is not a dotted name; expected e.g. 'sklearn.linear_model.Ridge'"),
        ("os; import sys.path", "is not a dotted name"),
    ],
)
def test_an_unknown_name_gets_a_hint(dotted, message):
    with pytest.raises(DeclarationError, match=message):
        resolve(dotted)


def test_resolves_both_ways_of_writing():
    assert resolve(RIDGE) is Ridge
    assert resolve("sklearn.linear_model:Ridge") is Ridge


@pytest.mark.parametrize(
    ("estimator", "params", "problem", "message"),
    [
        (RIDGE, {"alpa": 1}, "regression", "takes no parameter 'alpa'. Did you mean 'alpha'"),
        (RIDGE, {}, "binary", "is a regressor, but the target poses a binary problem"),
        ("sklearn.linear_model.LogisticRegression", {}, "regression", "is a classifier"),
        ("numpy.pi", {}, "regression", "is a float; expected a class with fit and predict, or a function of your own"),
        (lambda: 3, {}, "regression", "returned a int; expected an object with fit and predict"),
        (lambda: 1 / 0, {}, "regression", "could not be built: ZeroDivisionError"),
    ],
)
def test_refuses_what_is_no_estimator_for_the_problem(estimator, params, problem, message):
    with pytest.raises(DeclarationError, match=message):
        build(estimator, params, table()[0], problem, 0)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (
            pd.DataFrame({"when": pd.to_datetime(["2020-01-01"])}),
            "feature 'when' is of type datetime64.*Derive features",
        ),
        (pd.DataFrame({0: [1.0]}), "columns with text names"),
        (pd.DataFrame(), "columns with text names"),
    ],
)
def test_refuses_columns_that_no_estimator_takes(X, message):
    with pytest.raises(DeclarationError, match=message):
        build(RIDGE, {}, X, "regression", 0)
