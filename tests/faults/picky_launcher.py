"""Launches runs in this process, but for those of one batch."""

from typing import Any

from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher

REFUSED = "poison"


class PickyLauncher(SyncInMemoryRunLauncher):
    """What no machine takes fails as it does where a cluster refuses a run."""

    def launch_run(self, context: Any) -> None:
        """Called by the daemon for each run that a sensor has asked for."""
        if context.dagster_run.tags.get("dagster/partition") == REFUSED:
            raise RuntimeError("no machine takes this run")
        super().launch_run(context)
