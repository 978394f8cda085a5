"""A deployment whose loop runs by itself: a code server and Dagster's daemon as processes, and files that land."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
from dagster._core.scheduler.instigation import InstigatorTick, TickStatus

from mlops_assets.assets.shared.keys import KIND, MODEL, TRIGGER, asset_key
from mlops_assets.records.batches import BatchLedger
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.records.reports import BatchReports
from mlops_assets.records.trainings import TrainingLedger
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
LOCATION = HERE / "loop_location.py"
UNFINISHED = [dg.DagsterRunStatus[name] for name in ("QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING")]
PATIENCE = 180.0


class Loop:
    """The models of `loop_location.py` below `home`; nothing is launched by hand.

    crash: (sensor, point) at which the daemon kills itself, once; see `daemon_process.py`.
    """

    def __init__(self, home: Path, models: Iterable[str], environment: Mapping[str, str] | None = None) -> None:
        self.home, self.models = home, list(models)
        (home / "dagster").mkdir(parents=True, exist_ok=True)
        (home / "dagster/dagster.yaml").write_text(self.settings())
        self.instance = dg.DagsterInstance.from_config(str(home / "dagster"))
        self.storage, self.registry = self.stores()
        self.environment = {
            **os.environ,
            "MLOPS_ASSETS_HOME": str(home),
            "DAGSTER_HOME": str(home / "dagster"),
            "LOOP_MODELS": " ".join(self.models),
            "OMP_WAIT_POLICY": "PASSIVE",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(HERE.parent)]),
            **(environment or {}),
        }
        self.server: subprocess.Popen[bytes] | None = None
        self.daemon: subprocess.Popen[bytes] | None = None
        self.socket = Path(tempfile.mkdtemp(prefix="loop_")) / "code_server"  # an address has room for 107 bytes
        workspace = {"load_from": [{"grpc_server": {"socket": str(self.socket), "location_name": "loop"}}]}
        (home / "workspace.yaml").write_text(json.dumps(workspace))  # JSON is YAML
        for model in self.models:
            (home / "landing" / model).mkdir(parents=True, exist_ok=True)

    def settings(self) -> str:
        """The text of dagster.yaml."""
        return (REPOSITORY / "dagster.yaml").read_text()

    def stores(self) -> tuple[Storage, MlflowRegistry]:
        """The storage and the registry of the processes."""
        records = os.environ.get("MLOPS_ASSETS_DATABASE") or f"sqlite:///{self.home / 'records.db'}"
        registry = MlflowRegistry(
            tracking_uri=f"sqlite:///{self.home / 'mlflow.db'}", artifact_root=str(self.home / "mlartifacts")
        )
        registry.prepare()
        return Storage(root=str(self.home / "storage"), database=records), registry

    def __enter__(self) -> "Loop":
        self.start_server()
        self.start_daemon()
        return self

    def __exit__(self, *_: object) -> None:
        for process in (self.daemon, self.server):
            if process is not None:
                end(process)
        self.instance.dispose()
        shutil.rmtree(self.socket.parent)

    def start_server(self) -> None:
        """The code server, which evaluates sensors."""
        self.socket.unlink(missing_ok=True)
        where = ("-s", str(self.socket), "-f", str(LOCATION), "-d", ".")
        self.server = self._start("server", "-m", "dagster", "api", "grpc", *where)
        wait_until(lambda: listens(str(self.socket)) or self.server.poll() is not None, "the code server listens")
        assert self.server.poll() is None, self.log("server")

    def start_daemon(self, crash: tuple[str, str] | None = None) -> None:
        """Dagster's daemon: it ticks sensors and schedules and launches runs."""
        crash_at = {"CRASH_SENSOR": crash[0], "CRASH_POINT": crash[1]} if crash else {}
        workspace = str(self.home / "workspace.yaml")
        self.daemon = self._start("daemon", str(HERE / "daemon_process.py"), "run", "-w", workspace, **crash_at)

    def restart_daemon(self, crash: tuple[str, str] | None = None) -> None:
        """End the daemon where it still runs, and start another."""
        assert self.daemon is not None
        end(self.daemon)
        (self.home / "dagster" / "crashed").unlink(missing_ok=True)
        self.start_daemon(crash)

    def daemon_is_dead(self) -> bool:
        """Whether it was killed by signal 9."""
        assert self.daemon is not None
        return self.daemon.poll() == -signal.SIGKILL

    def land(self, model: str, batch: str, rows: pd.DataFrame) -> None:
        """A file lands, whole."""
        folder = self.home / "landing" / model
        rows.to_csv(folder / f".{batch}", index=False)
        (folder / f".{batch}").rename(folder / f"{batch}.csv")
        (folder / f"{batch}.csv.done").touch()

    def landed(self, model: str) -> set[str]:
        """The batches that landed."""
        return {path.stem for path in (self.home / "landing" / model).glob("*.csv")}

    def settle(self, patience: float = 1_500.0) -> None:
        """Wait until every batch that landed is taken in and the sensors, asked once more, want nothing."""
        wait_until(self._landed_is_known, "all batches are taken in", patience)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            self._wait_for_idle(patience)
            since = time.time()
            for sensor in ("new_data", "retraining"):
                wait_until(partial(self._ticked, sensor, since), f"a tick of {sensor}", patience)
            if not self.unfinished() and self.last_end() < since:
                return
        raise TimeoutError(f"not settled: {self.unfinished()}; {self.log('daemon')}")

    def unfinished(self) -> list[str]:
        """What is queued or runs."""
        return [run.run_id for run in self.instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))]

    def ticks(self, sensor: str, since: float) -> list[InstigatorTick]:
        """Ticks of a sensor that began after `since` and have ended, newest first."""
        for state in self.instance.all_instigator_state():
            if state.name == sensor:
                ticks = self.instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since, limit=100)
                return [tick for tick in ticks if tick.status != TickStatus.STARTED]
        return []

    def last_end(self) -> float:
        """When the run that ended last did so."""
        return max((record.end_time or 0.0 for record in self.instance.get_run_records(limit=10)), default=0.0)

    def decisions(self, model: str) -> list[dict[str, Any]]:
        """The retraining decisions on record, oldest first."""
        records = self.instance.fetch_observations(asset_key(model, "champion"), limit=1_000).records
        found = [record.asset_observation for record in reversed(records)]
        told = [each.metadata for each in found if each is not None and "decision_key" in each.metadata]
        return [{name: value.value for name, value in each.items() if name != "decisions"} for each in told]

    def scored(self, model: str) -> dict[str, dict[str, float]]:
        """The figures of `performance` by batch, with the version that they are about."""
        reports = BatchReports(self.storage, model).all("performance")
        return {
            batch: {**report.figures, "version": float(report.model_version or 0), "decay": report.verdict == "decay"}
            for batch, report in reports.items()
        }

    def drifted(self, model: str, batches: Iterable[str]) -> list[str]:
        """Those of the batches whose features drifted."""
        reports = BatchReports(self.storage, model).all("drift")
        return [batch for batch in batches if batch in reports and reports[batch].verdict == "drift"]

    def trainings(self, model: str) -> list[Any]:
        """The trainings on record, oldest first."""
        return TrainingLedger(self.storage, model).all()[::-1]

    def judged(self, model: str) -> bool:
        """Whether the newest training was decided on."""
        trainings = self.trainings(model)
        return bool(trainings) and trainings[-1].status == "judged"

    def taken_in(self, model: str) -> list[str]:
        """The batches that were accepted."""
        return [record.batch for record in BatchLedger(self.storage, model).all() if record.status == "accepted"]

    def newest_data_version(self, model: str) -> str:
        """The training set that would be made now; the one that was made last where nothing is new."""
        found = self.decisions(model)[-1]["data_version"]
        return str(found)

    def recorded_champion(self, model: str) -> int | None:
        """The champion by the pack's own record."""
        record = PromotionLedger(self.storage, model).champion()
        return None if record is None else record.version

    def training_runs(self, model: str) -> list[dg.DagsterRun]:
        """All runs of trainings, oldest first."""
        return list(self.instance.get_runs(dg.RunsFilter(tags={MODEL: model, KIND: "training"})))[::-1]

    def runs_by_batch(self, model: str) -> dict[str, list[str]]:
        """The status of each batch run, by batch."""
        found: dict[str, list[str]] = {}
        for run in self.instance.get_runs(dg.RunsFilter(tags={MODEL: model, KIND: "batch"})):
            found.setdefault(run.tags["dagster/partition"], []).append(run.status.name)
        return found

    def failed(self, model: str) -> list[str]:
        """The failed runs, oldest first: what each was for, and what its failed step says."""
        found = []
        failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], tags={MODEL: model})
        for run in reversed(self.instance.get_runs(failed)):
            events = self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
            errors = [event.dagster_event.step_failure_data.error for event in events]
            what = run.tags.get("dagster/partition") or f"training for {run.tags[TRIGGER]}"
            said = (errors[0].cause or errors[0]).message if errors else "its process died"
            found.append(f"{what}: {' '.join(said.split())}")
        return found

    def claimed_slots(self, models: Iterable[str]) -> list[str]:
        """Pools of which a slot is taken."""
        pools = [f"{model}_{what}" for model in models for what in ("champion", "training")]
        storage = self.instance.event_log_storage
        return [pool for pool in pools if storage.get_concurrency_info(pool).claimed_slots]

    def champion(self, model: str) -> int | None:
        """The number of the version that the alias names."""
        found = self.registry.champion(model)
        return None if found is None else found.version

    def log(self, name: str) -> str:
        """The end of what a process has written."""
        return (self.home / f"{name}.log").read_text()[-3_000:]

    def _start(self, name: str, *command: str, **extra: str) -> "subprocess.Popen[bytes]":
        with (self.home / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, *command],
                cwd=REPOSITORY,
                env={**self.environment, **extra},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _landed_is_known(self) -> bool:
        for model in self.models:
            if self.landed(model) - {record.batch for record in BatchLedger(self.storage, model).all()}:
                return False
        return True

    def _wait_for_idle(self, patience: float) -> None:
        wait_until(lambda: not self.unfinished(), "no run is under way", patience)

    def _ticked(self, sensor: str, since: float) -> bool:
        """Whether a tick of the sensor that began after `since` has ended."""
        return bool(self.ticks(sensor, since))


def listens(address: str | int) -> bool:
    """Whether somebody listens at a socket in the file system, or at a port of this machine."""
    with socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET) as knock:
        return knock.connect_ex(address if isinstance(address, str) else ("127.0.0.1", address)) == 0


def wait_until(holds: Callable[[], bool], what: str, patience: float = PATIENCE, pause: float = 0.5) -> None:
    """Look every `pause` seconds; `TimeoutError` naming what did not come about."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(pause)
    raise TimeoutError(f"after {patience:.0f} s still not: {what}")


def end(process: "subprocess.Popen[bytes]") -> None:
    """A process with all that it started."""
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(process.pid, number)
            process.wait(patience)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
