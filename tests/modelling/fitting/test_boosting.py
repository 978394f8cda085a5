"""XGBoost, LightGBM and CatBoost by their scikit-learn faces: labels of any kind, quiet, seeded, stored and loaded."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_assets.modelling.agreement import refit
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.search import fit, search
from mlops_assets.modelling.predictions import predict
from mlops_assets.resources.mlflow.model_files import load_model, save_model

CLASSIFIERS = ("xgboost.XGBClassifier", "lightgbm.LGBMClassifier", "catboost.CatBoostClassifier")
REGRESSORS = ("xgboost.XGBRegressor", "lightgbm.LGBMRegressor", "catboost.CatBoostRegressor")
QUICK = {"n_estimators": 10}
ONE_THREAD = {"xgboost": {"n_jobs": 1}, "lightgbm": {"n_jobs": 1}, "catboost": {"thread_count": 1}}
LABELS = {
    "text": np.array(["fine", "fraud"]),
    "booleans": np.array([False, True]),
    "from one": np.array([1, 2]),
    "signs": np.array([-1, 1]),
    "three": np.array(["high", "low", "mid"]),
}


def quick(estimator: str, **params) -> dict:
    """Few trees; one thread, since threads wait for each other on a machine that has other work."""
    return {**QUICK, **ONE_THREAD[estimator.partition(".")[0]], **params}


def rows(count: int = 200) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(8)
    place = rng.choice(["shop", "web <new> [2]", "phone"], count)
    X = pd.DataFrame({"place": place, "amount": rng.normal(size=count), "flag": rng.random(count) > 0.5})
    level = X["amount"].to_numpy() + 0.5 * X["flag"].to_numpy()
    X.loc[::9, "amount"] = np.nan
    return X, level


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("estimator", CLASSIFIERS)
def test_labels_of_any_kind_come_back_as_they_were(estimator, labels):
    X, level = rows()
    classes = LABELS[labels]
    y = pd.Series(classes[np.digitize(level, [0.0, 1.0])] if len(classes) == 3 else classes[(level > 0).astype(int)])
    model = fit(build(estimator, quick(estimator), X, "multiclass" if len(classes) == 3 else "binary", 0), X, y)
    said = predict(model, X)
    assert said.classes is not None and said.classes.tolist() == classes.tolist()
    assert said.probability is not None and said.probability.shape == (200, len(classes))
    assert (said.value == y).mean() > 0.8 and said.value.tolist() == classes[said.probability.argmax(axis=1)].tolist()


@pytest.mark.parametrize("estimator", [*CLASSIFIERS, *REGRESSORS])
def test_is_quiet_seeded_stored_and_loaded(estimator, tmp_path: Path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    X, level = rows()
    y = pd.Series(level if estimator in REGRESSORS else np.where(level > 0, "yes", "no"))
    problem = "regression" if estimator in REGRESSORS else "binary"
    first, second = (fit(build(estimator, quick(estimator), X, problem, seed=4), X, y) for _ in range(2))
    assert capfd.readouterr() == ("", "") and not list(tmp_path.iterdir())
    said = predict(first, X)
    assert said.value.tolist() == predict(second, X).value.tolist()
    digest = save_model(first, tmp_path / "model", X)
    again = predict(load_model(tmp_path / "model", digest), X)
    assert again.value.tolist() == said.value.tolist()
    assert f"{estimator.partition('.')[0]}==" in (tmp_path / "model" / "requirements.txt").read_text()


@pytest.mark.parametrize(
    ("estimator", "params"),
    [
        ("catboost.CatBoostRegressor", {"verbose": True, "random_seed": 9, "allow_writing_files": False}),
        ("lightgbm.LGBMRegressor", {"verbosity": 1}),
    ],
)
def test_what_is_declared_stays(estimator, params):
    built = build(estimator, params, rows(50)[0], "regression", 4)["model"]
    assert {name: built.get_params()[name] for name in params} == params


@pytest.mark.parametrize("estimator", [CLASSIFIERS[0], CLASSIFIERS[2]])
def test_a_search_reaches_the_estimator_and_a_refit_repeats_it(estimator):
    X, level = rows()
    y = pd.Series(np.where(level > 0, "yes", "no"))
    folds = [(np.arange(100), np.arange(100, 200)), (np.arange(100, 200), np.arange(100))]
    found = search(
        build(estimator, quick(estimator), X, "binary", 0), X, y, folds, {"max_depth": [1, 3]}, "grid", 5, "log_loss", 0
    )
    assert {trial.params["max_depth"] for trial in found.trials} == {1, 3} and not any(t.error for t in found.trials)
    assert len({trial.score for trial in found.trials}) == 2
    again = refit(estimator, quick(estimator), found.params, X, y, "binary", 0)
    assert predict(again, X).value.tolist() == predict(found.model, X).value.tolist()


@pytest.mark.parametrize("estimator", REGRESSORS)
def test_monotone_constraints_go_by_name(estimator):
    X, level = rows()
    y = pd.Series(level)
    X["place"] = X["place"].replace("web <new> [2]", "web")
    model = fit(build(estimator, quick(estimator, monotone_constraints={"amount": -1}), X, "regression", 0), X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        said = [predict(model, X.head(20).assign(amount=amount)).value for amount in np.linspace(-3, 3, 20)]
    assert (np.diff(np.array(said), axis=0) <= 1e-9).all()
