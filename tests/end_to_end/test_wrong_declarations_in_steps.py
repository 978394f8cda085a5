"""What only a step can find out about a declaration is one clear error there, whichever way the model is declared."""

import pandas as pd
import pytest

from mlops_assets import Gates, ModelPipeline, Search
from mlops_assets.errors import SourceError
from support.deployment import DeployedModel, Deployment, failed, why
from support.synthetic import rows


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
    assert f"features function test_wrong_declarations_in_steps.{says}" in said
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


@pytest.fixture(params=["python", "yaml"])
def declared(request, deployment: Deployment, name: str):
    """Declares the ordinary model of the deployment with other fields, in Python or as a component."""

    def declare(**fields) -> DeployedModel:
        model = deployment.model(name, **({} if request.param == "yaml" else fields))
        if request.param == "python":
            return model
        plain = {"name": name, "source": str(model.landing / "*.csv"), "time": "day", "key": ["id"], "target": "y"}
        plain |= {"estimator": "sklearn.linear_model.Ridge", "metrics": ["rmse", "mae"], "holdout": 1}
        component = ModelPipeline.from_attributes_dict(attributes={**plain, **fields})
        return DeployedModel(deployment, component, model.landing)

    return declare


def test_estimator_that_its_package_lacks_fails_the_training(declared):
    model = declared(estimator="sklearn.linear_model.Rigde")
    model.prepare(b1=rows(1), b2=rows(2))
    said = why(model.train())
    assert "'sklearn.linear_model.Rigde': sklearn.linear_model has no 'Rigde'. Did you mean 'Ridge'?" in said
    assert model.registry.versions(model.name) == []


def test_target_that_is_not_there_rejects_the_batch(declared):
    model = declared(target="sales")
    result = model.take_in(model.land("b1", rows(1)))
    assert failed(result)["columns"].startswith("missing: 'sales'; the batch has 'id', 'day', 'x', 'z', 'colour'")


def test_where_on_a_column_that_is_not_there_rejects_the_batch(declared):
    model = declared(where={"region": "north"})
    result = model.take_in(model.land("b1", rows(1)))
    told = "where: no column 'region' (columns: 'id', 'day', 'x', 'z', 'colour', 'y', 'bought')"
    assert failed(result) == {"readable": told}
    assert model.record("b1").reasons == (f"readable: {told}",)


def test_where_that_no_row_meets_rejects_the_batch_and_says_so(declared):
    model = declared(where={"colour": ["black", "pink"]})
    result = model.take_in(model.land("b1", rows(1)))
    assert failed(result)["row_count"] == "0 rows; expected at least 1 where colour is 'black' or 'pink'"
    assert model.record("b1").status == "rejected"


def test_rows_that_where_names_are_the_models_and_no_others(declared):
    model = declared(where={"colour": "red"})
    batch = rows(1)
    result = model.materialize("dataset", batch=model.land("b1", batch))
    assert result.success, why(result)
    stored = model.storage.read_frame(model.name, "dataset", "b1", str(model.record("b1").version))
    red = batch[batch["colour"] == "red"]
    assert 0 < len(red) < len(batch)
    assert sorted(stored["id"]) == sorted(red["id"])
    assert model.record("b1").rows == len(red)


def test_table_that_cannot_be_reached_is_told_by_the_look_without_its_password(declared):
    url = "sqlite:////no/such/folder/shop.db?password=s3cret"
    source = {"table": "orders", "url": url, "high_watermark": "id"}
    with pytest.raises(SourceError) as refused:
        declared(source=source).pipeline.source.look({})
    assert "Table 'orders'" in str(refused.value) and "s3cret" not in str(refused.value)
