"""The loops of Dagster's daemon, round by round, on a real code server; runs are carried out in this process."""

import hashlib
import logging
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pandas as pd
from dagster._core.test_utils import create_test_daemon_workspace_context, freeze_time
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import PythonFileTarget
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs

from mlops_assets.assets.shared.keys import KIND, MODEL, batches
from mlops_assets.resources.mlflow.registry import MlflowRegistry

HERE = Path(__file__).parent
MODEL_NAME = "shop"
CLOCK = "retraining_0_x_x_x_x_UTC"
"""The schedule of each hour."""


class Daemon:
    """Rounds of the sensors' and the schedules' loops, at a time that the test sets."""

    def __init__(self, home: Path, instance: dg.DagsterInstance, workspace: WorkspaceProcessContext) -> None:
        self.home, self.instance, self._workspace = home, instance, workspace
        self.now = datetime.now(UTC)
        self.registry = MlflowRegistry(
            tracking_uri=f"sqlite:///{home / 'mlflow.db'}", artifact_root=str(home / "artifacts")
        )
        self._schedules: dict[str, object] = {}

    def round(self, schedules: bool = False) -> None:
        """One round, a minute after the last: each sensor ticks once, each schedule as often as it has missed."""
        self.now += timedelta(minutes=1)
        log = logging.getLogger("daemon")
        with freeze_time(self.now):
            if schedules:
                list(launch_scheduled_runs(self._workspace, log, self.now, self._schedules))
            list(execute_sensor_iteration(self._workspace, log, None, None))

    def settle(self, schedules: bool = False) -> None:
        """Rounds until two in a row have asked for no run."""
        quiet = 0
        while quiet < 2:
            before = self.instance.get_runs_count()
            time.sleep(1.1)  # what was written just now is looked at again
            self.round(schedules)
            quiet = quiet + 1 if self.instance.get_runs_count() == before else 0
            assert self.instance.get_runs_count() < 50

    def start(self, sensor: str) -> None:
        """Switch on a sensor that is off at first."""
        location = self._workspace.create_request_context().get_code_location("ticks")
        (repository,) = location.get_repositories().values()
        self.instance.start_sensor(repository.get_sensor(sensor))

    def land(self, batch: str, rows: pd.DataFrame) -> None:
        """A file with its marker."""
        rows.to_csv(self.home / "landing" / f"{batch}.csv", index=False)
        (self.home / "landing" / f"{batch}.csv.done").touch()

    def runs(self, kind: str) -> list[tuple[str, str]]:
        """Batch and status of all runs of a kind, oldest first."""
        found = self.instance.get_runs(dg.RunsFilter(tags={MODEL: MODEL_NAME, KIND: kind}))
        return [(run.tags.get("dagster/partition", ""), run.status.name) for run in reversed(found)]

    def ticks(self, name: str) -> list[str]:
        """The status of all ticks of a sensor or schedule, oldest first."""
        for state in self.instance.all_instigator_state():
            if state.name == name:
                ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=500)
                return [tick.status.name for tick in reversed(ticks)]
        return []

    def trained_on(self) -> list[str]:
        """The data versions of all versions of the model, oldest first."""
        return [version.tags["data_version"] for version in reversed(self.registry.versions(MODEL_NAME))]

    def on_record(self) -> tuple[int, list[str], int]:
        """How many runs Dagster knows, which batches, and the number of its newest event."""
        names = self.instance.get_dynamic_partitions(batches(MODEL_NAME).name)
        return self.instance.get_runs_count(), names, self.instance.event_log_storage.get_maximum_record_id() or 0

    def stores(self) -> dict[str, str]:
        """A digest of each file and database of the pack and of MLflow."""
        found = {}
        for path in sorted(self.home.rglob("*")):
            if not path.is_file() or path.suffix in (".ended", ".db-wal", ".db-shm", ".lock") or path.name == "linger":
                continue
            content = _dump(path) if path.suffix == ".db" else path.read_bytes()
            found[str(path.relative_to(self.home))] = hashlib.sha256(content).hexdigest()
        return found


@contextmanager
def daemon_on(home: Path, launcher: str = "SyncInMemoryRunLauncher") -> Iterator[Daemon]:
    """A daemon over `ticks_location.py`, whose files are below `home`; TICKS_HOME names it to the code server."""
    (home / "landing").mkdir()
    modules = {"PickyLauncher": "picky_launcher"}
    module = modules.get(launcher, "dagster._core.launcher.sync_in_memory_run_launcher")
    overrides = {"run_launcher": {"module": module, "class": launcher}}
    location = home / f"location_{home.parent.name}.py"  # of its own: this process keeps what it has loaded by name
    shutil.copy(HERE / "ticks_location.py", location)
    target = PythonFileTarget(str(location), attribute=None, working_directory=None, location_name="ticks")
    with (
        dg.instance_for_test(overrides=overrides, synchronous_run_coordinator=True) as instance,
        create_test_daemon_workspace_context(target, instance) as workspace,
    ):
        yield Daemon(home, instance, workspace)


def _dump(database: Path) -> bytes:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return "\n".join(connection.iterdump()).encode()
