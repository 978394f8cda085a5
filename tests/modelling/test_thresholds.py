"""A threshold and calibration within the fitted Pipeline: predictions go by them, also when it is loaded."""

from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest

from mlops_assets import Folder, ModelPipeline
from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.agreement import refit
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.search import fit, search
from mlops_assets.modelling.metrics import scores
from mlops_assets.modelling.predictions import predict
from mlops_assets.modelling.splits import time_folds
from mlops_assets.modelling.thresholds import ThresholdRule
from mlops_assets.resources.mlflow.model_files import load_model, save_model

LOGISTIC = "sklearn.linear_model.LogisticRegression"
LABELS = {"text": ("fine", "fraud"), "booleans": (False, True), "numbers": (0, 1), "from one": (1, 2), "signs": (-1, 1)}


def rare(labels: str = "text", rows: int = 800) -> tuple[pd.DataFrame, pd.Series]:
    """One in ten is of the greater class, and it is never more likely than not."""
    rng = np.random.default_rng(2)
    X = pd.DataFrame({"amount": rng.normal(size=rows), "place": rng.choice(["shop", "web"], rows)})
    chance = 0.45 / (1 + np.exp(-2 * (X["amount"] - 1)))
    return X, pd.Series(np.array(LABELS[labels])[(rng.random(rows) < chance).astype(int)])


def fitted(by: ThresholdRule, labels: str = "text", estimator=LOGISTIC, **params):
    X, y = rare(labels)
    return fit(build(estimator, params, X, "binary", 0, y, by), X, y), X, y


@pytest.mark.parametrize("labels", LABELS)
def test_the_greater_class_is_predicted_from_a_declared_probability_on(labels, tmp_path: Path):
    model, X, _ = fitted(ThresholdRule(0.2), labels)
    said = predict(model, X)
    least, greatest = LABELS[labels]
    assert said.value.tolist() == np.where(said.positive >= 0.2, greatest, least).tolist()
    assert 0.05 < (said.value == greatest).mean() < 0.9
    digest = save_model(model, tmp_path / "model", X)
    assert predict(load_model(tmp_path / "model", digest), X).value.tolist() == said.value.tolist()
    assert list(mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(X)) == said.value.tolist()


@pytest.mark.parametrize("labels", ["text"])
@pytest.mark.parametrize("metrics", [["log_loss"], ["f1"], ["roc_auc", "accuracy"]])
def test_a_tuned_threshold_does_better_by_what_it_is_tuned_for(metrics, labels, tmp_path: Path):
    model, X, y = fitted(ThresholdRule("tuned", metrics=metrics), labels)
    plain, said = predict(fitted(ThresholdRule(), labels)[0], X), predict(model, X)
    name = {"log_loss": "balanced_accuracy", "f1": "f1", "roc_auc": "accuracy"}[metrics[0]]
    gain = scores(y, said, [name])[name] - scores(y, plain, [name])[name]
    assert gain > 0.1 if name != "accuracy" else gain >= -0.005
    digest = save_model(model, tmp_path / "model", X)
    assert predict(load_model(tmp_path / "model", digest), X).value.tolist() == said.value.tolist()


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration_mends_what_an_overconfident_classifier_says(method):
    forest = "sklearn.ensemble.RandomForestClassifier"
    X, y = rare(rows=3000)
    then, now = slice(0, 1500), slice(1500, None)
    plain, calibrated = (
        fit(build(forest, {"n_estimators": 20}, X[then], "binary", 0, y[then], by), X[then], y[then])
        for by in (ThresholdRule(), ThresholdRule(calibrate=method))
    )
    losses = [scores(y[now], predict(model, X[now]), ["log_loss"])["log_loss"] for model in (plain, calibrated)]
    assert losses[1] < 0.8 * losses[0]


@pytest.mark.slow
def test_both_hold_together_with_a_search_and_a_refit_repeats_them():
    by = ThresholdRule("tuned", "sigmoid", ["f1"])
    X, y = rare()
    pipeline = build(LOGISTIC, {}, X, "binary", 0, y, by)
    folds = time_folds(np.repeat(np.arange(5), 160), 2)
    found = search(pipeline, X, y, folds, {"C": [0.001, 1.0]}, "grid", 5, "log_loss", 0)
    assert len({trial.score for trial in found.trials}) == 2 and not any(trial.error for trial in found.trials)
    again = refit(LOGISTIC, {}, found.params, X, y, "binary", 0, by)
    assert predict(again, X).value.tolist() == predict(found.model, X).value.tolist()


def test_what_gives_no_probabilities_is_calibrated_first():
    machine = "sklearn.svm.LinearSVC"
    with pytest.raises(DeclarationError, match=r"threshold: LinearSVC gives no probabilities\. Declare `calibrate`"):
        fitted(ThresholdRule(0.3), estimator=machine)
    model, X, _ = fitted(ThresholdRule(0.3, "sigmoid"), estimator=machine)
    said = predict(model, X)
    assert ((said.value == "fraud") == (said.positive >= 0.3)).all()


def own_pipeline():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    return make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression())


@pytest.mark.parametrize("estimator", [own_pipeline, "xgboost.XGBClassifier"])
def test_a_pipeline_of_ones_own_and_other_libraries_take_a_threshold(estimator):
    params = {} if callable(estimator) else {"n_estimators": 5, "n_jobs": 1}
    model, X, _ = fitted(ThresholdRule(0.15, "sigmoid"), estimator=estimator, **params)
    said = predict(model, X)
    assert ((said.value == "fraud") == (said.positive >= 0.15)).all()


@pytest.mark.parametrize(
    ("by", "problem", "message"),
    [
        (ThresholdRule(0.3), "multiclass", "threshold is for two classes, but the target poses a multiclass problem"),
        (
            ThresholdRule("tuned"),
            "regression",
            "threshold is for two classes, but the target poses a regression problem",
        ),
        (
            ThresholdRule(calibrate="sigmoid"),
            "regression",
            "calibrate is for classes, but the target poses a regression prob",
        ),
    ],
)
def test_other_problems_are_refused(by, problem, message):
    X, y = rare()
    estimator = "sklearn.linear_model.Ridge" if problem == "regression" else LOGISTIC
    with pytest.raises(DeclarationError, match=message):
        build(estimator, {}, X, problem, 0, y, by)


def declared(**fields) -> ModelPipeline:
    return ModelPipeline(name="m", source=Folder("x/*.csv"), target="y", estimator=LOGISTIC, **fields)


def test_a_declaration_holds_them_and_another_value_is_another_version():
    kinds = [{}, {"threshold": 0.2}, {"threshold": "tuned"}, {"calibrate": "sigmoid"}, {"calibrate": "isotonic"}]
    assert len({declared(**fields).training_version for fields in kinds}) == 5
    assert len({declared(**fields).features_version for fields in kinds}) == 1
    for wrong in (0, 1, 1.5, -0.2, "best", True):
        with pytest.raises(DeclarationError, match="threshold: must be a probability between 0 and 1, or 'tuned'"):
            declared(threshold=wrong)
    with pytest.raises(
        DeclarationError, match="threshold is for classifiers, but the problem is declared as regression"
    ):
        declared(threshold=0.3, problem="regression")
