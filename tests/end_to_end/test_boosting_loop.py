"""XGBoost, LightGBM and CatBoost through the whole loop, with labels of text, from the declaration to predictions."""

import pytest

from support.deployment import why
from support.synthetic import rows

ESTIMATORS = {
    "xgboost": ("xgboost.XGBClassifier", {"n_estimators": 20, "n_jobs": 1}),
    "lightgbm": ("lightgbm.LGBMClassifier", {"n_estimators": 20, "n_jobs": 1}),
    "catboost": ("catboost.CatBoostClassifier", {"n_estimators": 20, "thread_count": 1}),
}


@pytest.mark.slow
@pytest.mark.parametrize("library", ESTIMATORS)
def test_a_boosting_library_takes_the_whole_loop(library, deployment, name):
    estimator, params = ESTIMATORS[library]
    declared = {"estimator": estimator, "params": params, "drop": ["y"], "metrics": ["log_loss", "accuracy"]}
    model = deployment.model(name, target="bought", pages="never", **declared)
    batches = {f"b{number}": rows(number, 300) for number in range(1, 4)}
    for rows_of in batches.values():
        rows_of["bought"] = rows_of["bought"].map({0: "looked", 1: "bought"})
    model.prepare(**batches)
    result = model.challenge()
    assert result.success, why(result)
    assert model.champion() == 1
    result = model.materialize("predictions", batch="b3")
    assert result.success, why(result)
    said = model.predictions("b3")
    assert set(said["prediction"]) == {"looked", "bought"} and said["model_version"].unique() == [1]
    assert (said["prediction"].to_numpy() == batches["b3"]["bought"].to_numpy()).mean() > 0.65
    assert said["score"].between(0, 1).all() and said["score"].nunique() > 20
