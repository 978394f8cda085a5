"""All that the pack uses of Dagster's private modules, as seen in Dagster 1.13.27: look here first after an upgrade."""

from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType
from dagster._core.definitions.reconstruct import repository_def_from_target_def
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)
from dagster._core.storage.compute_log_manager import ComputeIOType
from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._utils.schedules import cron_string_iterator, is_valid_cron_string

__all__ = [
    "CheckResult",
    "ComputeIOType",
    "DefinitionsLoadContext",
    "DefinitionsLoadType",
    "InstigatorType",
    "LocalComputeLogManager",
    "QueuedRunCoordinator",
    "check_evaluations",
    "cron_string_iterator",
    "env_file_variables",
    "is_valid_cron_string",
    "repository_at",
]


class CheckResult(dg.AssetCheckResult):
    """A check's result that shares the materialisation it judges with others: Dagster looks it up for each of them."""

    judged: dict[Any, Any]

    def _get_partitioned_target_materialization_data(self, step_context: Any, *asset_and_partition: Any) -> Any:
        if asset_and_partition not in self.judged:
            found = super()._get_partitioned_target_materialization_data(step_context, *asset_and_partition)
            self.judged[asset_and_partition] = found
        return self.judged[asset_and_partition]


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
