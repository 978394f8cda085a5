"""Parameters that speak of columns hold for the columns that they name, however preprocessing moves them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.search import fit, search
from mlops_assets.modelling.predictions import predict
from mlops_assets.resources.mlflow.model_files import load_model, save_model

HISTOGRAM = "sklearn.ensemble.HistGradientBoostingRegressor"
FOREST = "sklearn.ensemble.RandomForestRegressor"
TREE = "sklearn.tree.DecisionTreeRegressor"
QUICK = {HISTOGRAM: {"max_iter": 20}, FOREST: {"n_estimators": 5}, TREE: {"max_depth": 6}}


def houses(rows: int = 400) -> tuple[pd.DataFrame, pd.Series]:
    """Text and booleans stand before the numbers, which is not the order in which columns reach the estimator."""
    rng = np.random.default_rng(4)
    X = pd.DataFrame(
        {
            "city": rng.choice(["Rome", "Oslo", "Bonn"], rows),
            "lift": rng.random(rows) > 0.5,
            "age": rng.uniform(0, 100, rows),
            "same": 1.0,
            "area": rng.uniform(20, 200, rows),
        }
    )
    y = X["area"] + 40 * np.sin(X["age"] / 8) + 20 * X["lift"] + rng.normal(0, 10, rows)
    X.loc[::11, "area"] = np.nan
    return X, pd.Series(y)


def falls_in(model, X: pd.DataFrame, name: str) -> bool:
    """Whether what the model says never rises along a column, from its least value to its greatest."""
    rows, values = X.dropna().head(20), np.linspace(0, 200, 40)
    said = predict(model, pd.concat([rows.assign(**{name: value}) for value in values])).value.reshape(40, 20)
    return bool((np.diff(said, axis=0) <= 1e-9).all())


@pytest.mark.parametrize("estimator", [HISTOGRAM, FOREST, TREE])
def test_a_sign_by_name_holds_for_that_column_and_no_other(estimator, tmp_path):
    X, y = houses()
    free = fit(build(estimator, QUICK[estimator], X, "regression", 0), X, y)
    params = {**QUICK[estimator], "monotonic_cst": {"age": -1}}
    model = fit(build(estimator, params, X, "regression", 0), X, y)
    assert not falls_in(free, X, "age") and falls_in(model, X, "age") and not falls_in(model, X, "area")
    again = load_model(tmp_path / "model", save_model(model, tmp_path / "model", X))
    mixed = X[["area", "lift", "age", "city", "same"]].assign(city="Lima")
    assert predict(again, mixed).value.tolist() == predict(model, X.assign(city="Lima")).value.tolist()


def test_groups_and_categories_by_name():
    X, y = houses()
    groups = [["area", "lift"], ["age", "city", "same"]]
    params = {"max_iter": 30, "interaction_cst": groups, "categorical_features": ["city"]}
    built = build(HISTOGRAM, params, X, "regression", 0)
    assert built["model"].interaction_cst == [[1, 4], [0, 2, 3]]  # as named, before all others
    model = fit(built, X, y)
    assert model["model"].is_categorical_.tolist() == [True, False, False, False, False]
    rows = X.dropna().head(30)
    effect = [predict(model, rows.assign(area=area)).value for area in (30.0, 180.0)]
    older = [predict(model, rows.assign(area=area, age=rows["age"].max())).value for area in (30.0, 180.0)]
    assert effect[1] - effect[0] == pytest.approx(older[1] - older[0])  # age changes nothing of what area does
    assert build(HISTOGRAM, {"interaction_cst": "no_interactions"}, X, "regression", 0)["model"].interaction_cst


def test_a_search_keeps_them_and_does_not_search_them():
    X, y = houses()
    folds = [(np.arange(200), np.arange(200, 400)), (np.arange(200, 400), np.arange(200))]
    built = build(HISTOGRAM, {"max_iter": 10, "monotonic_cst": {"age": -1}}, X.assign(same=np.nan), "regression", 0)
    args = (X.assign(same=np.nan), y, folds)
    found = search(built, *args, {"max_leaf_nodes": [4, 31]}, "grid", 5, "rmse", 0)
    assert not any(trial.error for trial in found.trials) and falls_in(found.model, X, "age")
    with pytest.raises(DeclarationError, match="search: 'monotonic_cst' refers to columns and cannot be searched"):
        search(built, *args, {"monotonic_cst": [{"age": 1}]}, "grid", 5, "rmse", 0)


def test_an_estimator_within_another_takes_names():
    X, y = houses()
    inner = HistGradientBoostingClassifier(max_iter=5, monotonic_cst={"area": 1}, categorical_features=["city"])
    model = fit(build(lambda: VotingClassifier([("h", inner)], voting="soft"), {}, X, "binary", 0), X, y > 100)
    said = [predict(model, X.head(20).assign(area=area)).positive for area in (20.0, 110.0, 200.0)]
    assert (np.diff(np.array(said), axis=0) >= 0).all() and (said[2] > said[0]).all()


@pytest.mark.parametrize(
    ("estimator", "params", "message"),
    [
        (
            HISTOGRAM,
            {"monotonic_cst": [0, 0, -1, 0, 0]},
            r"'monotonic_cst' .* refers to columns by position.*monotonic_cst: \{city: 1\}",
        ),
        (
            FOREST,
            {"monotonic_cst": np.array([0, 0, -1, 0, 0])},
            "'monotonic_cst' of RandomForestRegressor refers to columns by posi",
        ),
        (TREE, {"monotonic_cst": {2: -1}}, "refers to columns by position"),
        (HISTOGRAM, {"categorical_features": [0]}, r"categorical_features: \[city\]"),
        (HISTOGRAM, {"categorical_features": [True, False, False, False, False]}, "refers to columns by position"),
        (HISTOGRAM, {"interaction_cst": [{0, 1}, {2}]}, r"interaction_cst: \[\[city, lift\]\]"),
        (HISTOGRAM, {"monotonic_cst": {"aera": 1}}, "names 'aera', which is not a feature. Did you mean 'area'"),
        (HISTOGRAM, {"monotonic_cst": {"city": 1}}, "names 'city', which is text: only numbers rise or fall"),
        (
            lambda: VotingClassifier([("t", DecisionTreeClassifier(monotonic_cst={"age": 1}))]),
            {},
            "'t__monotonic_cst' of VotingClassifier cannot be given within another estimator",
        ),
        (
            lambda: VotingClassifier(
                [("l", LogisticRegression()), ("h", HistGradientBoostingClassifier(monotonic_cst=[1]))]
            ),
            {},
            "'h__monotonic_cst' of VotingClassifier refers to columns by position",
        ),
    ],
)
def test_positions_and_names_that_are_not_there_are_refused(estimator, params, message):
    problem = "binary" if callable(estimator) else "regression"
    with pytest.raises(DeclarationError, match=message):
        build(estimator, params, houses(50)[0], problem, 0)


def test_the_estimator_of_a_function_is_held_to_the_same():
    message = "'monotonic_cst' of HistGradientBoostingRegressor refers to columns by position"
    with pytest.raises(DeclarationError, match=message):
        build(lambda: HistGradientBoostingRegressor(monotonic_cst=[1, 0, 0, 0, 0]), {}, houses(50)[0], "regression", 0)
