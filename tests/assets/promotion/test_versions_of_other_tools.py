"""Versions that another tool registered under a model's name: refused by a sentence."""

import pytest
from dagster import build_asset_context
from mlflow import MlflowClient

from mlops_assets import Folder, ModelPipeline
from mlops_assets.assets.promotion.alias_state import Before
from mlops_assets.assets.promotion.judge import gates_of, judge
from mlops_assets.assets.training.step import Step
from mlops_assets.errors import RegistryError
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage


def test_a_version_of_another_tool_is_neither_judged_nor_promoted(tmp_path):
    registry, storage = MlflowRegistry(tracking_uri=f"sqlite:///{tmp_path / 'mlflow.db'}"), Storage(root=str(tmp_path))
    registry.prepare()
    client = MlflowClient(tracking_uri=registry.tracking_uri, registry_uri=registry.tracking_uri)
    client.create_registered_model("tides")
    client.create_model_version("tides", str(tmp_path / "model"), tags={"promotion": "yes", "stage": "prod"})
    model = ModelPipeline(
        name="tides", source=Folder(str(tmp_path / "*.csv")), target="y", estimator="sklearn.linear_model.Ridge"
    )
    step = Step(ModelRecords(model, storage), registry, build_asset_context())
    before = Before(model="tides", promotions=(), state="none", hold=None, waiting=None)
    with pytest.raises(RegistryError, match=r"tides version 1 was not registered by this pack, or its record is gone"):
        judge(step, 1, before)
    with pytest.raises(RegistryError, match=r"tides version 1 has no tag 'data_version', so another tool"):
        gates_of(step, registry.version("tides", 1))
