"""A run's process builds the steps of the model that the run is about; of other models it names assets and jobs."""

import gc
import json
import sys
from multiprocessing import get_context

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.definitions.repository_definition import RepositoryLoadData
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._grpc.impl import start_run_in_subprocess
from dagster._grpc.types import ExecuteRunArgs

from mlops_assets import Folder, ModelPipeline, UpstreamAsset, dagster_private
from mlops_assets.assets.shared import this_run
from mlops_assets.assets.shared.keys import MODEL, asset_key, batches
from mlops_assets.dagster_private import DefinitionsLoadContext, DefinitionsLoadType, executed_run
from mlops_assets.resources import BatchFiles, GreatExpectations, MlflowRegistry, Storage
from support.launching import LAUNCHER, REPOSITORY, Launching


def run_of(job: str, model: str | None) -> dg.DagsterRun:
    return dg.DagsterRun(job_name=job, tags={MODEL: model} if model else {})


@pytest.fixture
def in_run(monkeypatch):
    """Makes this process one that executes a run."""
    return lambda job, model: monkeypatch.setattr(this_run, "executed_run", lambda: run_of(job, model))


def location(home, **fields) -> dg.RepositoryDefinition:
    """Two models, and what a user has around them."""

    @dg.asset(deps=[asset_key("south", "predictions")], partitions_def=batches("south"))
    def orders() -> None: ...

    @dg.asset_check(asset=asset_key("north", "champion"), additional_ins={"rows": dg.AssetIn(["south", "features"])})
    def differs_from_south(rows) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    def model(name: str) -> dg.Definitions:
        values = {"source": Folder("rows/*.csv"), "time": "at", "key": ["at"], "target": "y", **fields}
        return ModelPipeline(name=name, estimator="sklearn.linear_model.Ridge", **values).build_defs()

    resources = {
        "mlops_storage": Storage(root=str(home)),
        "mlops_batches": BatchFiles(root=str(home)),
        "mlflow_registry": MlflowRegistry(tracking_uri=f"sqlite:///{home}/mlflow.db"),
        "great_expectations": GreatExpectations(),
    }
    own = dg.Definitions(assets=[orders], asset_checks=[differs_from_south], resources=resources)
    return dg.Definitions.merge(model("north"), model("south"), own).get_repository_def()


def executable(repository: dg.RepositoryDefinition) -> set[str]:
    return {key.path[0] for key in repository.asset_graph.executable_asset_keys}


FIELDS = {"approval": "required", "outcomes": Folder("labels/*.csv")}


@pytest.mark.parametrize("action", this_run.JOBS)
def test_a_run_of_a_model_has_the_job_that_the_code_server_described(tmp_path, in_run, action):
    described = location(tmp_path, **FIELDS).get_job(f"north_{action}")
    in_run(f"north_{action}", "north")
    loaded = location(tmp_path, **FIELDS)
    assert executable(loaded) == {"north", "orders"}
    job = loaded.get_job(f"north_{action}")
    assert job.get_job_snapshot_id() == described.get_job_snapshot_id()
    assert job.partitions_def == described.partitions_def
    assert set(job.asset_layer.selected_asset_keys) == set(described.asset_layer.selected_asset_keys)


def test_of_another_model_there_is_what_other_definitions_may_refer_to(tmp_path, in_run):
    whole = location(tmp_path, **FIELDS)
    in_run("north_batch", "north")
    loaded = location(tmp_path, **FIELDS)
    assert loaded.job_names == whole.job_names
    ours, theirs = loaded.asset_graph, whole.asset_graph
    assert ours.get_all_asset_keys() == theirs.get_all_asset_keys()
    for key in theirs.get_all_asset_keys():
        named, built = ours.get(key), theirs.get(key)
        for field in ("partitions_def", "group_name", "owners", "code_version", "parent_keys", "tags", "description"):
            assert getattr(named, field) == getattr(built, field), (key, field)
        assert named.metadata.items() >= built.metadata.items()
        assert named.io_manager_key == built.io_manager_key
    assert {key.asset_key.path[0] for key in ours.asset_check_keys} == {"north"}


@pytest.mark.parametrize(
    ("job", "model"),
    [
        ("__ASSET_JOB", None),  # materialised from the page of an asset
        ("orders_job", None),
        ("north_orders", "north"),  # a job of a user's own that borrows the tag
        ("north_batch", None),
        ("north_batch", "south"),
    ],
)
def test_any_other_run_has_all_models(tmp_path, in_run, job, model):
    in_run(job, model)
    assert executable(location(tmp_path)) == {"north", "south", "orders"}


def test_a_process_that_executes_no_run_has_all_models(tmp_path):
    assert executed_run() is None
    assert executable(location(tmp_path)) == {"north", "south", "orders"}


def test_definitions_are_kept_from_the_collector_only_where_dagster_loads_a_location(tmp_path):
    location(tmp_path)  # what is imported meanwhile is set aside as well
    gc.unfreeze()
    with DefinitionsLoadContext.scoped(None):
        location(tmp_path)
    assert gc.get_freeze_count() == 0
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION)):
        location(tmp_path)
    assert gc.get_freeze_count() > 1_000
    gc.unfreeze()


def test_a_model_that_reads_an_asset_of_the_project_has_all_models_in_its_runs(tmp_path, in_run):
    reads = {"source": UpstreamAsset("orders"), "time": None, "key": []}
    server = DefinitionsLoadContext(DefinitionsLoadType.INITIALIZATION)
    with DefinitionsLoadContext.scoped(server) as server:
        location(tmp_path, **reads)
    noted = server.get_pending_reconstruction_metadata()
    assert noted == {f"mlops_assets/not_alone/{name}": "reads an asset" for name in ("north", "south")}
    in_run("north_batch", "north")
    load_data = RepositoryLoadData(reconstruction_metadata=dict(noted))
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext(DefinitionsLoadType.RECONSTRUCTION, load_data)):
        assert executable(location(tmp_path, **reads)) == {"north", "south", "orders"}


@pytest.fixture
def asked(tmp_path):
    """An instance with a run, and the request to execute it."""
    (tmp_path / "instance").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "instance")) as instance:
        run = instance.add_run(run_of("north_batch", "north"))
        origin = JobPythonOrigin(
            run.job_name, RepositoryPythonOrigin(sys.executable, ModuleCodePointer("defs", "defs"))
        )
        yield run, dg.serialize_value(ExecuteRunArgs(origin, run.run_id, instance.get_ref()))
    executed_run.cache_clear()


def test_the_run_of_a_process_is_the_one_that_dagster_named_when_it_was_started(monkeypatch, asked):
    run, request = asked
    executed_run.cache_clear()
    monkeypatch.setattr(sys, "argv", ["dagster", "api", "execute_run", request])
    assert executed_run() == run


def test_the_run_of_a_process_of_a_code_server_is_the_one_that_it_was_given(monkeypatch, asked):
    run, request = asked
    process = get_context("spawn").Process(target=start_run_in_subprocess, args=[request, None, None, None])
    executed_run.cache_clear()
    monkeypatch.setattr(dagster_private, "current_process", lambda: process)
    assert executed_run() == run


@pytest.mark.slow
@pytest.mark.parametrize("settings", [LAUNCHER, ""], ids=["warm", "by the code server"])
def test_launched_runs_build_the_steps_of_their_model(tmp_path, settings):
    made = Launching(tmp_path, settings, location=REPOSITORY / "tests/support/two_models.py")
    try:
        built = {}
        for job in ("north_relearn", "south_orders"):
            run_id = made.launch(job)
            run = made.ended(run_id)
            built[job] = {
                name.split("/")[0]: kind for name, kind in json.loads((made.out / run_id).read_text()).items()
            }
            failures = made.instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
            assert run.is_success == (job == "south_orders")
            if not run.is_success:  # the launchpad is empty: the step itself says so
                assert "fill in `by` (who) and `reason`" in str(failures[0].dagster_event.event_specific_data)
    finally:
        made.close()
    whole = dict.fromkeys(("north", "south", "orders"), "AssetsDefinition")
    assert built == {"north_relearn": {**whole, "south": "AssetSpec"}, "south_orders": whole}
