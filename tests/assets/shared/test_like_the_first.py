"""The assets of the second and later models, made like those of the first, are those that `@dg.asset` makes."""

import dagster as dg
import pytest
from dagster._core.remote_representation.external_data import RepositorySnap

from mlops_assets import Folder, ModelPipeline
from mlops_assets.assets.shared import like_the_first
from mlops_assets.resources import BatchFiles, Compute, GreatExpectations, MlflowRegistry, Storage

FIELDS = {
    "plain": {},
    "approved": {"approval": "required"},
    "labelled later": {"outcomes": Folder("labels/*.csv"), "known_at": "known"},
    "with workers": {"workers": 2},
    "owned": {"owners": ["team:sales"], "description": "Orders <b>of</b> tomorrow."},
}


def model(name: str, fields: dict) -> dg.Definitions:
    values = {"source": Folder("rows/*.csv"), "time": "at", "key": ["at"], "target": "y", **fields}
    return ModelPipeline(name=name, estimator="sklearn.linear_model.Ridge", **values).build_defs()


def location(tmp_path, *models: dg.Definitions) -> dg.RepositoryDefinition:
    resources = {
        "mlops_storage": Storage(root=str(tmp_path)),
        "mlops_batches": BatchFiles(root=str(tmp_path)),
        "mlflow_registry": MlflowRegistry(tracking_uri=f"sqlite:///{tmp_path}/mlflow.db"),
        "great_expectations": GreatExpectations(),
        "mlops_compute": Compute(),
    }
    return dg.Definitions.merge(*models, dg.Definitions(resources=resources)).get_repository_def()


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
def test_the_second_model_is_described_as_if_it_were_the_first(tmp_path, monkeypatch, fields):
    """Dagster makes the assets of the first model itself; its description has assets, checks, jobs and their ops."""
    monkeypatch.setattr(like_the_first, "_LOOKS", {})
    first = location(tmp_path, model("sales", fields))
    made_by_dagster = len(like_the_first._LOOKS)
    second = location(tmp_path, model("sales", fields))
    assert len(like_the_first._LOOKS) == made_by_dagster == len(list(first.asset_graph.executable_asset_keys))
    assert RepositorySnap.from_def(second) == RepositorySnap.from_def(first)
    for key in first.asset_graph.executable_asset_keys:
        ours, theirs = (where.asset_graph.get(key).assets_def for where in (second, first))
        assert ours.op.required_resource_keys == theirs.op.required_resource_keys
        assert ours.op.pool == theirs.op.pool
        assert ours.node_keys_by_output_name == theirs.node_keys_by_output_name
        assert {spec.key: spec for spec in ours.check_specs} == {spec.key: spec for spec in theirs.check_specs}
        assert ours.op.__name__ == theirs.op.__name__


def test_models_that_require_other_resources_do_not_share_a_look(tmp_path, monkeypatch):
    monkeypatch.setattr(like_the_first, "_LOOKS", {})
    repository = location(tmp_path, model("sales", {}), model("returns", {"workers": 2}), model("visits", {}))

    def resources(name: str) -> set[str]:
        return set(repository.asset_graph.get(dg.AssetKey([name, "challenger"])).assets_def.op.required_resource_keys)

    assert resources("sales") == resources("visits") == {"mlops_storage", "mlflow_registry"}
    assert resources("returns") == {"mlops_storage", "mlflow_registry", "mlops_compute"}


def test_each_step_runs_the_function_of_its_own_model(tmp_path, monkeypatch):
    monkeypatch.setattr(like_the_first, "_LOOKS", {})
    repository = location(tmp_path, model("sales", {}), model("visits", {}))
    for name in ("sales", "visits"):
        function = repository.asset_graph.get(dg.AssetKey([name, "dataset"])).assets_def.op.compute_fn.decorated_fn
        cells = dict(zip(function.__code__.co_freevars, function.__closure__, strict=True))
        assert cells["model"].cell_contents.name == name
