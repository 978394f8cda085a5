"""All that the pack uses of Dagster's private modules, as seen in Dagster 1.13.27: look here first after an upgrade."""

import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from multiprocessing import current_process
from pathlib import Path
from typing import Any, Self, cast

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.job.asset_job import JobScopedAssetGraph
from dagster._core.definitions.decorators.op_decorator import DecoratedOpFunction
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster._core.definitions.reconstruct import repository_def_from_target_def
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._serdes.config_class import ConfigurableClass, ConfigurableClassData
from dagster._utils.schedules import cron_string_iterator, is_valid_cron_string

from mlops_assets.uncollected import kept

__all__ = [
    "CheckResult",
    "CheckRunHealthResult",
    "ComputeIOType",
    "ConfigurableClass",
    "ConfigurableClassData",
    "DecoratedOpFunction",
    "DefinitionsLoadContext",
    "DefinitionsLoadType",
    "InstigatorType",
    "LaunchRunContext",
    "LocalComputeLogManager",
    "NearAssetsJob",
    "OpJob",
    "QueuedRunCoordinator",
    "WorkerStatus",
    "check_evaluations",
    "cron_string_iterator",
    "env_file_variables",
    "execute_run",
    "executed_run",
    "instance_at",
    "is_executed_here",
    "is_valid_cron_string",
    "kept_with_location",
    "near_assets",
    "repository_at",
    "socket_of_code_server",
]


def kept_with_location() -> AbstractContextManager[None]:
    """Set aside from garbage collection what is made within, if Dagster loads a code location in this process."""
    return kept if DefinitionsLoadContext.is_set() else nullcontext()


class CheckResult(dg.AssetCheckResult):
    """A check's result that shares the materialisation it judges with others: Dagster looks it up for each of them."""

    judged: dict[Any, Any]

    def _get_partitioned_target_materialization_data(self, step_context: Any, *asset_and_partition: Any) -> Any:
        if asset_and_partition not in self.judged:
            found = super()._get_partitioned_target_materialization_data(step_context, *asset_and_partition)
            self.judged[asset_and_partition] = found
        return self.judged[asset_and_partition]


class NearAssetsJob(UnresolvedAssetJobDefinition):
    """A job of `dg.define_asset_job`, resolved among the assets that it touches.

    Dagster goes through all assets of a code location for each job, so N models with their jobs cost N squared.
    """

    def resolve(
        self,
        asset_graph: AssetGraph,
        default_executor_def: dg.ExecutorDefinition | None = None,
        resource_defs: Mapping[str, dg.ResourceDefinition] | None = None,
    ) -> dg.JobDefinition:
        """Return the job that Dagster resolves from all assets."""
        with kept_with_location():
            near = near_assets(asset_graph, self.selection.resolve(asset_graph))
            job = super().resolve(near, default_executor_def, resource_defs)
        graph = job.asset_layer.asset_graph
        if isinstance(graph, JobScopedAssetGraph):
            graph._source_asset_graph = asset_graph  # of which Dagster takes a part for a run of some of the assets
        return job


class OpJob(UnresolvedAssetJobDefinition):
    """A job of one op, which is made when Dagster first asks for the job: a run asks for one of thousands."""

    operation: Callable[[], dg.OpDefinition]

    @classmethod
    def of(cls, operation: Callable[[], dg.OpDefinition], **fields: Any) -> Self:
        """Return a job of the op that this function makes; `fields` are those of `dg.job`."""
        job = cls(selection=dg.AssetSelection.assets(), **fields)
        job.operation = operation
        return job

    def with_metadata(self, metadata: Mapping[str, Any]) -> UnresolvedAssetJobDefinition:
        """Return the job with other metadata."""
        job = cast(Self, super().with_metadata(metadata))
        job.operation = self.operation
        return job

    def resolve(
        self,
        asset_graph: AssetGraph,
        default_executor_def: dg.ExecutorDefinition | None = None,
        resource_defs: Mapping[str, dg.ResourceDefinition] | None = None,
    ) -> dg.JobDefinition:
        """Return the job that `@dg.job` makes."""
        operation = self.operation()
        decorator = dg.job(
            name=self.name,
            description=self.description,
            config=cast(Any, self.config),
            tags=dict(self.tags or {}),
            metadata=dict(self.metadata or {}),
            partitions_def=self.partitions_def,
            executor_def=self.executor_def or default_executor_def,
        )
        job = decorator(lambda: operation() and None)
        return job.with_top_level_resources({**job.resource_defs, **(resource_defs or {})})


def near_assets(graph: AssetGraph, keys: Iterable[dg.AssetKey]) -> AssetGraph:
    """Return the part of a graph that decides on a job: these assets, what they and their checks read, all checks."""
    chosen = _with_checks(graph, keys)
    read = {key for definition in chosen for key in _touched(definition)}
    near = [*chosen, *_with_checks(graph, read)]
    return AssetGraph(
        {key: graph.get(key) for definition in near for key in _touched(definition) if graph.has(key)},
        {check: definition for definition in near for check in definition.check_keys},
    )


def _with_checks(graph: AssetGraph, keys: Iterable[dg.AssetKey]) -> list[dg.AssetsDefinition]:
    """Return what defines these assets and their checks, which may stand alone."""
    nodes = [graph.get(key) for key in keys if graph.has(key)]
    checks = {check for node in nodes for check in node.check_keys}
    return [*(node.assets_def for node in nodes), *graph.assets_defs_for_keys(checks)]


def _touched(definition: dg.AssetsDefinition) -> set[dg.AssetKey]:
    inputs, outputs = definition.node_keys_by_input_name, definition.node_keys_by_output_name
    return {*definition.keys, *inputs.values(), *outputs.values()}


def check_evaluations(
    instance: dg.DagsterInstance, key: dg.AssetCheckKey, most: int, failed_only: bool = False
) -> list[AssetCheckExecutionRecord]:
    """Return the newest evaluations of a check in order of their ids, newest first, without planned evaluations."""
    failed, succeeded = AssetCheckExecutionRecordStatus.FAILED, AssetCheckExecutionRecordStatus.SUCCEEDED
    history = instance.event_log_storage.get_asset_check_execution_history
    return list(history(key, limit=most, status={failed} if failed_only else {failed, succeeded}))


def repository_at(kind: str, name: str, folder: Path) -> dg.RepositoryDefinition | None:
    """Import a code location (`python_file`, `python_module`) as Dagster does; None if it holds no definitions."""
    from dagster._grpc.utils import get_loadable_targets

    targets = get_loadable_targets(
        python_file=name if kind == "python_file" else None,
        module_name=name if kind == "python_module" else None,
        package_name=None,
        autoload_defs_module_name=None,
        working_directory=str(folder),
        attribute=None,
        resolve_lazy_defs=True,
    )
    return repository_def_from_target_def(targets[0].target_definition)


def env_file_variables(folder: str) -> dict[str, str]:
    """Return the variables of a file `.env` in a folder, read as `dagster` and `dg` read it."""
    from dagster._core.secrets.env_file import get_env_var_dict

    return get_env_var_dict(folder)


def socket_of_code_server(context: LaunchRunContext) -> str | None:
    """Return the path of the socket at which a run's code server listens; None if it listens at a port."""
    from dagster._core.remote_representation.code_location import GrpcServerCodeLocation

    origin = context.dagster_run.remote_job_origin
    if origin is None or context.workspace is None:
        return None
    location = context.workspace.get_code_location(origin.repository_origin.code_location_origin.location_name)
    return location.client.socket if isinstance(location, GrpcServerCodeLocation) else None


def instance_at(reference: str) -> dg.DagsterInstance:
    """Return the instance that a serialised reference names."""
    return dg.DagsterInstance.from_ref(cast(Any, dg.deserialize_value(reference)))


_RUN: list[dg.DagsterRun] = []


def is_executed_here(run: dg.DagsterRun) -> None:
    """Note that this process executes the run, for `executed_run`."""
    _RUN.append(run)


@cache
def executed_run() -> dg.DagsterRun | None:
    """Return the run that this process was started for; None in any other process, and if it cannot be told.

    A run's process is started as `dagster api execute_run`, by a code server, or as a fork that calls `execute_run`.
    """
    if _RUN:
        return _RUN[0]
    process = current_process()
    if sys.argv[1:3] == ["api", "execute_run"] and len(sys.argv) == 4:
        request = sys.argv[3]
    elif getattr(getattr(process, "_target", None), "__name__", "") == "start_run_in_subprocess":
        request = cast(Any, process)._args[0]
    else:
        return None
    asked = cast(Any, dg.deserialize_value(request))
    with dg.DagsterInstance.from_ref(asked.instance_ref) as instance:
        return instance.get_run_by_id(asked.run_id)


def execute_run(instance: dg.DagsterInstance, run: dg.DagsterRun, at_event: Callable[[], object]) -> int:
    """Execute a run in this process as `dagster api execute_run` does; return its exit code.

    `at_event` is called after each event of the run. An interrupt before the first one, as a run in status CANCELING,
    makes Dagster record the run as failed, and so repeat it, though somebody canceled it.
    """
    from dagster._cli.api import _execute_run_command_body
    from dagster._utils.interrupts import capture_interrupts

    is_executed_here(run)
    with capture_interrupts():
        return _execute_run_command_body(run.run_id, instance, lambda event: at_event(), set_exit_code_on_failure=True)
