"""A wrong declaration says what is wrong where the engineer looks: at declaring, or in the step that finds out."""

import dagster as dg
import pandas as pd
import pytest
from deployment import failed, why
from synthetic import rows

from mlops_assets import Folder, Gates, MlopsAssetsError, ModelPipeline, Search

GOOD = {"name": "shop", "source": Folder("landing/*.csv"), "target": "y", "estimator": "sklearn.linear_model.Ridge"}


def lagging(batch: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    return batch[["x"]]


def fewer_rows(batch: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    return batch[["x"]].head(10)


def raises(batch: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    return batch[["x"]] / batch["absent"]


def returns_nothing(batch: pd.DataFrame, history: pd.DataFrame) -> None:
    batch["twice"] = 2 * batch["x"]


def label_as_feature(batch: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    return batch[["x"]].assign(ratio=batch["y"] / 2)


def later_rows_as_feature(batch: pd.DataFrame, history: pd.DataFrame) -> pd.DataFrame:
    return batch[["x"]].assign(centred=batch["x"] - batch["x"].mean())


@pytest.mark.parametrize(
    "change, says",
    [
        ({"estimatr": "x"}, "has no field 'estimatr'; did you mean 'estimator'?"),
        ({"target": ...}, "field 'target' is required"),
        ({"name": "Bike Demand"}, "name: must be lower-case letters, digits and _"),
        ({"name": "../bike"}, "name: must be lower-case letters, digits and _"),
        ({"window": "two weeks"}, "window: must be a duration such as '12h', '30D' or '26W' (got 'two weeks')"),
        ({"window": "30D"}, "'30D' is a duration: declare `time`, or give a number of batches"),
        ({"holdout": 1.5}, "holdout: as a share must be below 1"),
        ({"features": lagging, "lookback": "7D"}, "lookback needs `features` (which gets the history) and `time`"),
        ({"target": "y", "drop": ["y"]}, "target 'y' is also declared as key, time or drop"),
        ({"source": "landing/*.csv"}, "source: Input should be a valid dictionary or instance of Folder"),
        ({"gates": {"min_gian": 1}}, "Gates: has no field 'min_gian'; did you mean 'min_gain'?"),
        ({"gates": {"beats": ["dumy"]}}, "Gates: beats: Input should be 'dummy', 'previous' or 'linear'"),
        ({"seed": "seven"}, "seed: Input should be a valid integer"),
        ({"gates": {"guards": {"mae": -1}}}, "Gates: guards: the tolerance of 'mae' must be 0 or more"),
        ({"gates": {"min_gain": 1, "no_worse_by": 1}}, "no_worse_by for one that is no worse: declare one"),
        ({"drift": {"season": ["hour"]}}, "drift's season needs `time`, whose hour, weekday or month is matched"),
        ({"drift": {"season": ["tide"]}, "time": "day"}, "Drift: season: Input should be 'hour', 'weekday' or 'month'"),
        ({"drift": {"period": "a quarter"}}, "Drift: period: must be a duration such as '12h'"),
        ({"group": "y"}, "target 'y' is also declared as group"),
    ],
)
def test_declaration_is_refused(change, says):
    fields = {name: value for name, value in {**GOOD, **change}.items() if value is not ...}
    with pytest.raises(MlopsAssetsError) as refused:
        ModelPipeline(**fields)
    assert says in str(refused.value)


def test_two_models_of_one_name_cannot_share_a_code_location(deployment):
    one, other = ModelPipeline(**GOOD), ModelPipeline(**{**GOOD, "target": "z"})
    resources = dg.Definitions(resources=deployment.resources)
    with pytest.raises(
        dg.DagsterInvalidDefinitionError, match=r"Duplicate asset key: AssetKey\(\['shop', 'dataset'\]\)"
    ):
        dg.Definitions.validate_loadable(dg.Definitions.merge(one.build_defs(), other.build_defs(), resources))


@pytest.mark.parametrize(
    "features, says",
    [
        (
            fewer_rows,
            "fewer_rows must return one row for each row of the batch with the batch's index: expected 60 rows",
        ),
        (raises, "raises raised KeyError: 'absent'"),
        (returns_nothing, "returns_nothing must return a DataFrame, got NoneType"),
    ],
)
def test_features_function_that_cannot_be_used_fails_its_step(features, says, deployment, name):
    model = deployment.model(name, features=features)
    said = why(model.take_in(model.land("b1", rows(1))))
    assert f"features function test_wrong_declarations.{says}" in said
    assert model.record("b1").ready(model.pipeline.features_version).startswith("waiting")


@pytest.mark.parametrize("features, feature", [(label_as_feature, "ratio"), (later_rows_as_feature, "centred")])
def test_feature_that_knows_the_future_is_stopped(features, feature, deployment, name):
    model = deployment.model(name, features=features)
    result = model.take_in(model.land("b1", rows(1)))
    assert failed(result)["no_future_leak"].startswith(f"['{feature}'] change when later rows and the row's own label")
    assert f"features of batch 'b1': no_future_leak: ['{feature}'] change" in why(result)


@pytest.mark.parametrize(
    "declared, says",
    [
        ({"estimator": "sklearn.linear_model.Rigde"}, "sklearn.linear_model has no 'Rigde'. Did you mean 'Ridge'?"),
        ({"estimator": "nowhere.Model"}, "no module 'nowhere'. Install it, or correct the name"),
        (
            {"estimator": "sklearn.linear_model.LogisticRegression"},
            "is a classifier, but the target poses a regression",
        ),
        ({"params": {"alhpa": 1}}, "takes no parameter 'alhpa'. Did you mean 'alpha'?"),
        ({"metrics": ["rmes"]}, "metric 'rmes' is not known. Did you mean 'rmse'?"),
        ({"metrics": ["roc_auc"]}, "metric 'roc_auc' is for classification, the target poses regression"),
        ({"search": Search({"alhpa": [1, 2]})}, "has no parameter 'alhpa'. Did you mean 'alpha'?"),
        ({"gates": Gates(guards={"maee": 0.1})}, "metric 'maee' is not known. Did you mean 'mae'?"),
        ({"group": "customer"}, "has no column ['customer']: it has ['id', 'day', 'x', 'z', 'colour', 'y', 'bought']"),
        ({"slices": ["region"]}, "has no column ['region']: it has ['id', 'day', 'x', 'z', 'colour', 'y', 'bought']"),
    ],
)
def test_training_says_what_cannot_be_done(declared, says, deployment, name):
    model = deployment.model(name, **declared)
    model.prepare(b1=rows(1), b2=rows(2))
    result = model.train()
    said = why(result)
    assert says in said
    assert model.registry.versions(name) == []


def test_target_that_is_not_there_rejects_the_batch(deployment, name):
    model = deployment.model(name, target="sales")
    result = model.take_in(model.land("b1", rows(1)))
    assert failed(result)["columns"].startswith("missing: 'sales'; the batch has 'id', 'day', 'x', 'z', 'colour'")
