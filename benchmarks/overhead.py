"""What the pack costs over bare scripts of the same libraries, side by side: `python benchmarks/overhead.py`.

Prints seconds (median of the pairs) and ratios (median of the pairwise ones) for loading the code location, a training
run and a batch run, the runs with Dagster's default launcher and with `WarmRunLauncher`. Our runs are launched through
the webserver's GraphQL, as the UI launches them, and timed until the run's record says success; bare scripts are timed
from start to exit. A measurement begins on a quiet machine only: beside other work, ratios of a training run fell to
0.9.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pandas as pd
import workload
import yaml
from dagster_graphql import DagsterGraphQLClient

HERE = Path(__file__).parent
PAIRS = 5
QUIET = 1.0
"""The load average of the last minute that a measurement begins at."""

SHIPPED = yaml.safe_load((HERE.parent / "dagster.yaml").read_text())
DIRECT = {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"}


LAUNCHERS: dict[str, dict[str, object]] = {"": {}, ", warm": {"run_launcher": SHIPPED["run_launcher"]}}
"""How the rows of a launcher are named, and its settings."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="a file for the rows")
    parser.add_argument("--busy", action="store_true", help="measure beside other work; not for figures.json")
    asked = parser.parse_args()
    load = os.getloadavg()[0]
    if load > QUIET and not asked.busy:
        raise SystemExit(f"the machine is busy (load {load:.1f}; expected at most {QUIET}): wait, or pass --busy")
    with tempfile.TemporaryDirectory(prefix="overhead_") as place:
        home = Path(place)
        prepare(home)
        environment = os.environ | {"OVERHEAD_HOME": place, "DAGSTER_HOME": str(home / "dagster")}
        environment["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), str(HERE)])
        ours = loading("from definitions import defs", HERE.parent, environment)
        bare = loading("import dagster as dg; defs = dg.Definitions()", home, environment)
        scaffolded = loading("from definitions import defs", empty_project(home), environment | {"PYTHONPATH": ""})
        rows = [
            compare("load: ours / a bare Definitions()", ours, bare),
            compare("load: ours / an empty defs folder", ours, scaffolded),
        ]
        with opened(home) as instance, served(home, environment) as client:
            ours = Launched(client, instance)
            take_in_history(home, ours)
            ours.training(0)
            script("bare_training.py", home, 0, environment)
        reference(home)
        for job in (training, batch):  # all trainings first: the batch would be trained on once it is taken in
            for how, settings in LAUNCHERS.items():
                write_settings(home / "dagster", **settings)
                with opened(home) as instance, served(home, environment) as client:
                    rows.append(job(how, Launched(client, instance), home, environment))
    print(pd.DataFrame(rows).to_string(index=False))
    if asked.json:
        asked.json.write_text(json.dumps({"overhead": rows}))


def training(how: str, ours: "Launched", home: Path, environment: dict[str, str]) -> dict[str, object]:
    """Compare a training run with the bare script."""
    first = 100 if how else 0  # a training of the same parameters would be no news
    return compare(
        f"training run, 100,000 x 20{how}",
        lambda pair: ours.training(first + pair),
        lambda pair: script("bare_training.py", home, pair, environment),
    )


def batch(how: str, ours: "Launched", home: Path, environment: dict[str, str]) -> dict[str, object]:
    """Compare a batch run with the bare script."""
    newest = f"batch-{workload.BATCHES:02d}"
    return compare(
        f"batch run, 10,000 x 20{how}",
        lambda pair: ours.batch(newest),
        lambda pair: script("bare_batch.py", home, newest, environment),
    )


def compare(what: str, ours: Callable[[int], object], other: Callable[[int], object]) -> dict[str, object]:
    """Run both in turn, one warm-up and then the pairs."""
    pairs = [(seconds(ours, pair), seconds(other, pair)) for pair in range(1, PAIRS + 2)][1:]
    ratios = [a / b for a, b in pairs]
    print(what, [f"{a:.1f}/{b:.1f}" for a, b in pairs], file=sys.stderr, flush=True)
    return {
        "what": what,
        "ours s": round(statistics.median(a for a, _ in pairs), 2),
        "other s": round(statistics.median(b for _, b in pairs), 2),
        "ratio": round(statistics.median(ratios), 2),
        "least": round(min(ratios), 2),
        "most": round(max(ratios), 2),
    }


def seconds(call: Callable[[int], object], pair: int) -> float:
    begin = time.perf_counter()
    call(pair)
    return time.perf_counter() - begin


def loading(code: str, folder: Path, environment: dict[str, str]) -> Callable[[int], object]:
    """A process that loads a code location up to a repository with all its jobs."""
    command = [sys.executable, "-c", f"{code}; defs.get_repository_def().get_all_jobs()"]
    return lambda pair: subprocess.run(command, check=True, env=environment, cwd=folder)


def empty_project(home: Path) -> Path:
    """A code location as Dagster scaffolds it, without any definition."""
    folder = home / "empty"
    (folder / "defs").mkdir(parents=True)
    (folder / "defs" / "__init__.py").touch()
    project = (HERE.parent / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(project[project.index("[tool.dg]") : project.index("[tool.ruff]")])
    load = "defs = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    (folder / "definitions.py").write_text(f"from pathlib import Path\n\nimport dagster as dg\n\n{load}")
    return folder


def prepare(home: Path) -> None:
    """Batches in a landing folder, the suite, the job, and an instance that launches without a queue."""
    workload.write_batches(home / "landing")
    for file in (home / "landing").iterdir():
        os.utime(file, (time.time() - 60, time.time() - 60))
    (home / "suite.json").write_text(json.dumps({"name": "overhead", "expectations": workload.expectations()}))
    keys = [f"batch-{number:02d}" for number in range(workload.BATCHES)]
    split = {"train": keys[: -workload.HOLDOUT], "holdout_batches": keys[-workload.HOLDOUT :]}
    (home / "job.json").write_text(json.dumps({"params": workload.PARAMS, "holdout": workload.HOLDOUT, **split}))
    (home / "dagster").mkdir()
    write_settings(home / "dagster")
    (home / "bare").mkdir()
    for number, key in enumerate(keys):
        frame = workload.batch(number)
        frame[workload.NAMES].to_parquet(home / "bare" / f"{key}-X.parquet")
        frame[["y"]].to_parquet(home / "bare" / f"{key}-y.parquet")


def write_settings(folder: Path, **changed: object) -> None:
    """Write the settings of this repository, with launches by a launcher of Dagster and without a queue."""
    concurrency = {"pools": SHIPPED["concurrency"]["pools"]}
    kept = {name: SHIPPED[name] for name in ("telemetry", "nux", "storage")}
    settings = {**kept, "concurrency": concurrency, "run_coordinator": DIRECT, **changed}
    (folder / "dagster.yaml").write_text(yaml.safe_dump(settings))


def opened(home: Path) -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(home / "dagster"))


def reference(home: Path) -> None:
    """The bare batch script measures drift against the same sample of training rows."""
    stored = next((home / "storage" / "overhead" / "reference" / "training").glob("*.parquet"))
    pd.read_parquet(stored)[workload.NAMES].to_parquet(home / "bare" / "reference.parquet")


def take_in_history(home: Path, ours: "Launched") -> None:
    """The batches that are trained on, taken in by one process that is not timed."""
    code = (
        "import dagster as dg; from location import defs, model\n"
        f"keys = ['batch-%02d' % number for number in range({workload.BATCHES + 1})]\n"
        "instance = dg.DagsterInstance.get()\n"
        "instance.add_dynamic_partitions('overhead_batches', keys)\n"
        "job = defs.resolve_job_def('overhead_batch')\n"
        f"[job.execute_in_process(instance=instance, partition_key=key) for key in keys[:{workload.BATCHES}]]\n"
    )
    environment = os.environ | ours.environment(home)
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, stderr=subprocess.DEVNULL)


def script(name: str, home: Path, argument: object, environment: dict[str, str]) -> None:
    subprocess.run(
        [sys.executable, HERE / name, str(home), str(argument)], check=True, env=environment, stderr=subprocess.DEVNULL
    )


class Launched:
    """Runs launched through the webserver, waited for until their record says how they ended."""

    def __init__(self, client: DagsterGraphQLClient, instance: dg.DagsterInstance) -> None:
        self._client, self._instance = client, instance

    @staticmethod
    def environment(home: Path) -> dict[str, str]:
        path = os.pathsep.join([str(HERE.parent), str(HERE)])
        return {"OVERHEAD_HOME": str(home), "DAGSTER_HOME": str(home / "dagster"), "PYTHONPATH": path}

    def training(self, trial: int) -> None:
        config = {"ops": {"overhead__challenger": {"config": {"params": {"l2_regularization": trial * 1e-6}}}}}
        self._wait(self._client.submit_job_execution("overhead_training", run_config=config))

    def batch(self, key: str) -> None:
        self._wait(self._client.submit_job_execution("overhead_batch", tags={"dagster/partition": key}))

    def _wait(self, run_id: str) -> None:
        while not (run := self._instance.get_run_by_id(run_id)) or not run.is_finished:
            time.sleep(0.02)
        if not run.is_success:
            raise SystemExit(f"run {run_id} of {run.job_name} ended as {run.status}")


def free_port() -> int:
    """Return a port of loopback that no process listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def client_of(server: "subprocess.Popen[bytes]", port: int, log: Path) -> DagsterGraphQLClient:
    """Wait until a webserver listens; return a client of it."""
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return DagsterGraphQLClient("127.0.0.1", port_number=port)
        except OSError:
            if server.poll() is not None:
                raise SystemExit(log.read_text()) from None
            time.sleep(0.2)


class served:
    """The webserver on a free port of loopback, with the benchmark's code location or another one."""

    def __init__(
        self,
        home: Path,
        environment: dict[str, str],
        python: str | Path = sys.executable,
        location: Path = HERE / "location.py",
    ) -> None:
        self._port = free_port()
        self._command = [
            *(str(python), "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(self._port)),
            *("-f", str(location), "-d", str(location.parent)),
        ]
        self._environment, self._log = environment, home / "webserver.log"

    def __enter__(self) -> DagsterGraphQLClient:
        with self._log.open("wb") as log:
            self._server = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        self.process = self._server.pid
        return client_of(self._server, self._port, self._log)

    def __exit__(self, *_: object) -> None:
        self._server.terminate()
        self._server.wait(30)


if __name__ == "__main__":
    main()
