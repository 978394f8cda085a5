"""Estimators that hold others are accepted, fitted, stored by skops and loaded back."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.search import fit
from mlops_assets.modelling.predictions import predict
from mlops_assets.resources.mlflow.model_files import load_model, save_model

TREE, BRANCHES = DecisionTreeClassifier(max_depth=3), DecisionTreeRegressor(max_depth=3)
CLASSIFIERS = {
    "stacking": lambda: StackingClassifier([("line", LogisticRegression()), ("tree", TREE)], cv=3),
    "stacking_histograms": lambda: StackingClassifier([("h", HistGradientBoostingClassifier(max_iter=5))], cv=2),
    "stacking_final": lambda: StackingClassifier([("tree", TREE)], LogisticRegression(), passthrough=True),
    "voting": lambda: VotingClassifier([("line", LogisticRegression()), ("tree", TREE)], voting="soft"),
    "bagging": lambda: BaggingClassifier(TREE, n_estimators=3),
    "calibrated": lambda: CalibratedClassifierCV(TREE, method="isotonic", cv=3),
    "calibrated_temperature": lambda: CalibratedClassifierCV(LogisticRegression(), method="temperature"),
    "tuned_threshold": lambda: TunedThresholdClassifierCV(LogisticRegression()),
    "fixed_threshold": lambda: FixedThresholdClassifier(LogisticRegression(), threshold=0.2),
    "grid_search": lambda: GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, scoring="roc_auc"),
    "pipeline": lambda: make_pipeline(OrdinalEncoder(), SimpleImputer(), StackingClassifier([("tree", TREE)])),
}
REGRESSORS = {
    "stacking": lambda: StackingRegressor([("line", Ridge()), ("tree", BRANCHES)]),
    "voting": lambda: VotingRegressor([("line", Ridge()), ("h", HistGradientBoostingRegressor(max_iter=5))]),
    "bagging": lambda: BaggingRegressor(n_estimators=3),
    "transformed_target": lambda: TransformedTargetRegressor(Ridge(), transformer=StandardScaler()),
    "pipeline": lambda: make_pipeline(OrdinalEncoder(), SimpleImputer(), SelectKBest(f_regression, k=2), Ridge()),
}


def rows() -> tuple[pd.DataFrame, pd.Series]:
    rng = np.random.default_rng(11)
    city = rng.choice(["Rome", "Oslo"], 150)
    X = pd.DataFrame({"load": rng.normal(size=150), "floors": rng.integers(1, 9, 150), "city": city, "empty": np.nan})
    y = X["load"] + X["floors"] / 2
    X.loc[::9, "load"] = np.nan
    return X, y


@pytest.mark.parametrize(
    ("problem", "estimator"),
    [
        *(pytest.param("binary", made, id=f"{name}_classifier") for name, made in CLASSIFIERS.items()),
        *(pytest.param("regression", made, id=f"{name}_regressor") for name, made in REGRESSORS.items()),
    ],
)
def test_is_fitted_stored_and_loaded(problem, estimator, tmp_path: Path):
    X, y = rows()
    y = y if problem == "regression" else pd.Series(np.where(y > 2, "late", "in time"))
    model = fit(build(estimator, {}, X, problem, seed=3), X, y)
    digest = save_model(model, tmp_path / "model", X)
    said, again = predict(model, X), predict(load_model(tmp_path / "model", digest), X)
    assert said.value.tolist() == again.value.tolist()
    if problem == "regression":
        assert np.corrcoef(said.value, y)[0, 1] > 0.6
    else:
        assert (said.value == y).mean() > 0.75
        assert (again.probability == said.probability).all()


def test_what_only_transforms_is_no_estimator():
    for made in (StandardScaler, lambda: make_pipeline(StandardScaler())):
        with pytest.raises(DeclarationError, match=r"returned a .*; expected an object with fit and predict"):
            build(made, {}, rows()[0], "regression", 0)
