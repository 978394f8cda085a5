"""The jobs of a model: resolved among the assets that they touch, they are those that Dagster resolves from all."""

import dagster as dg
import pytest

from mlops_assets import Folder, ModelPipeline
from mlops_assets.assets.shared.keys import asset_key, batches
from mlops_assets.dagster_private import AssetGraph, NearAssetsJob, OpJob, near_assets
from mlops_assets.resources import BatchFiles, Compute, GreatExpectations, MlflowRegistry, Storage

ACTIONS = ("batch", "training", "outcomes", "backtest", "rollback", "approve", "rescore")
NAMES = [f"{model}_{action}" for model in ("north", "south") for action in ACTIONS]


def own_definitions() -> dg.Definitions:
    """Assets and checks of a user's own around the assets of a model."""

    @dg.asset(deps=[asset_key("north", "predictions")], partitions_def=batches("north"))
    def orders() -> None: ...

    @dg.asset_check(asset=asset_key("north", "champion"), additional_deps=[asset_key("south", "champion")])
    def differs_from_south() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    @dg.multi_asset_check(
        specs=[
            dg.AssetCheckSpec("on_time", asset=asset_key("north", "features")),
            dg.AssetCheckSpec("on_time", asset=asset_key("south", "predictions")),
        ],
        can_subset=True,
    )
    def on_time(context: dg.AssetCheckExecutionContext):
        yield from ()

    return dg.Definitions(assets=[orders], asset_checks=[differs_from_south, on_time])


@pytest.fixture(scope="module")
def resolved(tmp_path_factory: pytest.TempPathFactory) -> tuple[dg.RepositoryDefinition, dict[str, NearAssetsJob]]:
    """A code location of two models, and its jobs on assets as declared."""
    home = tmp_path_factory.mktemp("jobs")
    models = [
        ModelPipeline(
            name=name,
            source=Folder(str(home / name / "*.csv")),
            outcomes=Folder(str(home / f"{name}_labels" / "*.csv")),
            time="at",
            key=["at"],
            target="y",
            estimator="sklearn.linear_model.Ridge",
            approval="required",
        ).build_defs()
        for name in ("north", "south")
    ]
    resources = {
        "mlops_storage": Storage(root=str(home)),
        "mlops_batches": BatchFiles(root=str(home)),
        "mlflow_registry": MlflowRegistry(tracking_uri=f"sqlite:///{home}/mlflow.db"),
        "great_expectations": GreatExpectations(),
        "mlops_compute": Compute(),
    }
    defs = dg.Definitions.merge(*models, own_definitions(), dg.Definitions(resources=resources))
    jobs = {job.name: job for job in defs.jobs or () if isinstance(job, NearAssetsJob)}
    return defs.get_repository_def(), jobs


def as_dagster_resolves(repository: dg.RepositoryDefinition, job: NearAssetsJob) -> dg.JobDefinition:
    """The job, resolved by Dagster's own method among all assets."""
    resources = repository.get_top_level_resources()
    return super(NearAssetsJob, job).resolve(repository.asset_graph, resource_defs=resources)


def selected_checks(job: dg.JobDefinition) -> set[dg.AssetCheckKey]:
    return set(job.asset_layer.asset_graph.asset_check_keys)


@pytest.mark.parametrize("name", NAMES)
def test_a_job_is_the_one_that_dagster_resolves_from_all_assets(resolved, name):
    repository, jobs = resolved
    ours, theirs = repository.get_job(name), as_dagster_resolves(repository, jobs[name])
    assert ours.get_job_snapshot_id() == theirs.get_job_snapshot_id()
    assert ours.asset_layer.selected_asset_keys == theirs.asset_layer.selected_asset_keys
    assert selected_checks(ours) == selected_checks(theirs)
    near, far = ours.asset_layer.asset_graph, theirs.asset_layer.asset_graph
    assert near.get_all_asset_keys() == far.get_all_asset_keys()
    assert near.executable_asset_keys == far.executable_asset_keys
    assert ours.partitions_def == theirs.partitions_def


def test_checks_of_a_users_own_run_with_the_job_of_the_asset(resolved):
    repository, _ = resolved
    own = dg.AssetCheckKey(asset_key("north", "champion"), "differs_from_south")
    assert own in selected_checks(repository.get_job("north_rollback"))
    assert own not in selected_checks(repository.get_job("south_rollback"))
    assert "on_time" in [node.name for node in repository.get_job("north_batch").nodes]


def test_a_run_of_some_assets_of_a_job_is_that_of_dagster(resolved):
    repository, jobs = resolved
    some = {asset_key("north", "champion"), asset_key("north", "model_card")}
    ours = repository.get_job("north_training").get_subset(asset_selection=some)
    theirs = as_dagster_resolves(repository, jobs["north_training"]).get_subset(asset_selection=some)
    nodes = ["north__champion", "north__champion_differs_from_south", "north__model_card"]
    assert sorted(node.name for node in ours.nodes) == nodes
    assert ours.get_job_snapshot_id() == theirs.get_job_snapshot_id()


def test_the_assets_of_other_models_are_not_looked_at(resolved):
    repository, jobs = resolved
    graph: AssetGraph = repository.asset_graph
    near = near_assets(graph, jobs["south_batch"].selection.resolve(graph)).get_all_asset_keys()
    others = {key.to_user_string() for key in near if key.path[0] != "south"}
    assert others == {"north/features", "north/dataset"}  # a check is on south/predictions and north/features
    card = near_assets(graph, [asset_key("south", "model_card")]).get_all_asset_keys()
    assert {key.path[0] for key in card} == {"south"}


def test_an_asset_that_is_missing_is_named(resolved):
    repository, _ = resolved
    gone = dg.AssetKey(["west", "champion"])
    job = NearAssetsJob(name="west_rollback", selection=dg.AssetSelection.assets(gone))
    with pytest.raises(dg.DagsterInvalidSubsetError, match="west/champion"):
        job.resolve(repository.asset_graph)


@pytest.mark.parametrize("action", ["exclude", "relearn"])
def test_a_job_of_one_op_is_the_one_that_dagster_makes_at_once(resolved, action):
    repository, _ = resolved
    ours = repository.get_job(f"north_{action}")
    operation = ours.graph.node_defs[0]

    @dg.job(
        name=ours.name,
        config=ours.run_config or ours.partitioned_config.get_run_config_for_partition_key("b"),
        partitions_def=ours.partitions_def,
        executor_def=dg.in_process_executor,
        tags=ours.tags,
        description=ours.description,
    )
    def at_once() -> None:
        operation()

    resources = repository.get_top_level_resources()
    theirs = dg.Definitions(jobs=[at_once], resources=resources).resolve_job_def(ours.name)
    assert ours.get_job_snapshot_id() == theirs.get_job_snapshot_id()
    assert ours.partitions_def == (batches("north") if action == "exclude" else None)
    assert ours.executor_def.name == "in_process"


def test_a_job_of_one_op_is_made_when_it_is_asked_for(resolved):
    made = []

    @dg.op
    def nothing() -> None: ...

    def operation() -> dg.OpDefinition:
        made.append(1)
        return nothing

    job = OpJob.of(operation, name="later", description="Does nothing.").with_metadata({"of": "sales"})
    repository = dg.Definitions(jobs=[job]).get_repository_def()
    assert repository.has_job("later") and made == []
    assert repository.get_job("later").metadata["of"].value == "sales"
    assert repository.get_job("later").execute_in_process().success and made == [1]
