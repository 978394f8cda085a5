"""A code server that goes on, and runs that are planned by it and carried out by processes of their own."""

import asyncio
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.execution.submit_asset_runs import submit_asset_run
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.utils import make_new_run_id
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget

from mlops_assets.assets.shared.keys import asset_key, batches

PATIENCE = 240.0


class Served:
    """Takes in batches by runs of `dataset`, as the sensor requests them."""

    def __init__(self, instance: dg.DagsterInstance, workspace: WorkspaceProcessContext) -> None:
        self.instance, self._workspace = instance, workspace

    def planned(self, model: str) -> set[str]:
        """The checks of a model's dataset that the server has."""
        graph = self._workspace.create_request_context().asset_graph
        return {key.name for key in graph.asset_check_keys if key.asset_key == asset_key(model, "dataset")}

    def reload(self) -> None:
        """What "reload the code location" in the UI does."""
        self._workspace.reload_code_location("served")

    def take_in(self, model: str, batch: str) -> tuple[bool, dict[str, tuple[bool, str]]]:
        """Whether the run succeeded, and what each check that it evaluated says."""
        self.instance.add_dynamic_partitions(batches(model).name, [batch])
        request = dg.RunRequest(
            asset_selection=[asset_key(model, "dataset")], partition_key=batch, tags={"dagster/partition": batch}
        )
        asked = submit_asset_run(
            make_new_run_id(),
            request,
            0,
            self.instance,
            self._workspace,
            self._workspace.create_request_context(),
            {},
            {},
            logging.getLogger("served"),
        )
        with ThreadPoolExecutor(1) as aside:  # tests in a browser leave a loop running in this thread
            run = aside.submit(asyncio.run, asked).result()
        return self._ended(run.run_id), self._evaluated(run.run_id)

    def said(self, batch: str) -> str:
        """All that the failed events of the newest run of a batch say."""
        [run] = self.instance.get_runs(dg.RunsFilter(tags={"dagster/partition": batch}), limit=1)
        return "\n".join(str(entry) for entry in self.instance.all_logs(run.run_id))

    def _ended(self, run_id: str) -> bool:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            run = self.instance.get_run_by_id(run_id)
            if run is not None and run.is_finished:
                return run.is_success
            time.sleep(0.2)
        raise TimeoutError(f"run {run_id} goes on")

    def _evaluated(self, run_id: str) -> dict[str, tuple[bool, str]]:
        entries = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        found = [entry.dagster_event.asset_check_evaluation_data for entry in entries if entry.dagster_event]
        return {each.check_name: (each.passed, each.description or "") for each in found}


@contextmanager
def served(location: Path) -> Iterator[Served]:
    """The code location in a file, served until the end of the block."""
    target = PythonFileTarget(str(location), attribute=None, working_directory=None, location_name="served")
    with (
        dg.instance_for_test(synchronous_run_coordinator=True) as instance,
        create_test_daemon_workspace_context(target, instance) as workspace,
    ):
        yield Served(instance, workspace)
