"""Who takes part in `peers.py`: how a job of a tool, of the bare scripts and of the pack is run and timed."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import overhead
from processor_seconds import Cost, Watch, of_command

HERE = Path(__file__).parent
PLACE = Path(os.environ.get("MLOPS_ASSETS_HOME", HERE.parent / ".mlops")).absolute() / "peers"
SILENT = {"DO_NOT_TRACK": "1", "GX_ANALYTICS_ENABLED": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


@dataclass(frozen=True)
class Command:
    """A tool that is run by a command: its packages, what runs each job, and its variables, `{home}` a folder."""

    packages: Sequence[str]
    training: str
    batch: str
    environment: dict[str, str]


COMMANDS = {
    "kedro": Command(
        ("kedro", "kedro-mlflow"),
        "-m kedro run --pipeline training --params trial={argument}",
        "-m kedro run --pipeline batch --params key={argument}",
        {"KEDRO_DISABLE_TELEMETRY": "1"},
    ),
    "zenml": Command(
        ("zenml",),
        "pipelines.py training {argument}",
        "pipelines.py batch {argument}",
        {"ZENML_ANALYTICS_OPT_IN": "false", "ZENML_CONFIG_PATH": "{home}/config", "AUTO_OPEN_DASHBOARD": "false"},
    ),
    "prefect": Command(
        ("prefect",),
        "flows.py training {argument}",
        "flows.py batch {argument}",
        {
            "PREFECT_HOME": "{home}/prefect",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # its first start makes the database
        },
    ),
    "metaflow": Command(
        ("metaflow",),
        "training.py run --trial {argument}",
        "batch.py run --key {argument}",
        {"METAFLOW_HOME": "{home}/config", "METAFLOW_USER": "benchmark", "USERNAME": "benchmark"},
    ),
}
TOOLS = [*COMMANDS, "dagster"]
Job = Callable[[str, str], Cost]
"""Runs the job of this name with its argument, a trial or the key of a batch."""


def environment_of(tool: str) -> Path:
    """The Python of a tool's environment, made if it is not there or its pins have changed."""
    pins, folder = HERE / "peers" / "requirements" / f"{tool}.txt", PLACE / tool
    python, made = folder / "bin" / "python", folder / "pins.txt"
    if not made.is_file() or made.read_text() != pins.read_text():
        print(f"installing {tool} into {folder}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(pins)]
        subprocess.run(install, check=True)
        shutil.copy(pins, made)
    return python


def versions(tool: str) -> str:
    """The versions of a tool's own packages."""
    pins = (HERE / "peers" / "requirements" / f"{tool}.txt").read_text()
    packages = COMMANDS[tool].packages if tool in COMMANDS else [tool]
    return ", ".join(
        found[0].replace("==", " ") for name in packages if (found := re.search(rf"^{name}==\S+", pins, re.MULTILINE))
    )


def started(home: Path, pythons: dict[str, Path], ends: ExitStack) -> dict[str, Job]:
    """All that take part, ready to run: rows prepared, the pack's history taken in, webservers running until `ends`."""
    overhead.prepare(home)
    overhead.prepare(home / "warm")
    overhead.write_settings(home / "warm" / "dagster", run_launcher=overhead.SHIPPED["run_launcher"])
    runners = {"bare": bare(home)}
    runners |= {name: ends.enter_context(pack(folder)) for name, folder in homes_of_pack(home).items()}
    for tool, python in pythons.items():
        (home / tool).mkdir(exist_ok=True)
        shutil.copytree(HERE / "peers" / tool, home / "work" / tool)
        store = f"from pathlib import Path; import bare_training as job; job.store(Path({str(home)!r}), {tool!r})"
        subprocess.run([python, "-c", store], check=True, env=environment_for(home), stderr=subprocess.DEVNULL)
        is_command = tool in COMMANDS
        runners[tool] = command(home, tool, python) if is_command else ends.enter_context(dagster(home, python))
    return runners


def homes_of_pack(home: Path) -> dict[str, Path]:
    """Where the pack works, by launcher."""
    return {"pack": home, "pack, warm": home / "warm"}


def environment_for(home: Path) -> dict[str, str]:
    """The variables of all: where the rows are, the functions of the bare scripts, and nothing that tracks."""
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    return os.environ | SILENT | {"OVERHEAD_HOME": str(home), "PYTHONPATH": path}


def bare(home: Path) -> Job:
    """The bare scripts."""
    scripts = {"training": "bare_training.py", "batch": "bare_batch.py"}

    def run(job: str, argument: str) -> Cost:
        words = [sys.executable, str(HERE / scripts[job]), str(home), argument]
        return of_command(words, home, environment_for(home), home / "bare.log")

    return run


def command(home: Path, tool: str, python: Path) -> Job:
    """A tool that is run by a command, in a copy of its folder."""
    declared, folder = COMMANDS[tool], home / "work" / tool
    own = {name: text.format(home=folder) for name, text in declared.environment.items()}

    def run(job: str, argument: str) -> Cost:
        words = getattr(declared, job).format(argument=argument).split()
        return of_command([str(python), *words], folder, environment_for(home) | own, home / f"{tool}.log")

    return run


@contextmanager
def pack(home: Path) -> Iterator[Job]:
    """The pack's code location at a webserver, with its history taken in."""
    environment = environment_for(home) | {"DAGSTER_HOME": str(home / "dagster")}
    with launched(environment, overhead.served(home, environment), overhead.Launched) as run:
        yield run


@contextmanager
def dagster(home: Path, python: Path) -> Iterator[Job]:
    """Dagster as it comes: plain assets, default executor and launcher; without a queue, as the pack is measured."""
    folder = home / "work" / "dagster"
    (folder / "instance").mkdir()
    settings = {"telemetry": {"enabled": False}, "run_coordinator": overhead.DIRECT}
    (folder / "instance" / "dagster.yaml").write_text(json.dumps(settings))
    environment = environment_for(home) | {"DAGSTER_HOME": str(folder / "instance")}
    server = overhead.served(folder, environment, python, folder / "definitions.py")
    with launched(environment, server, PlainAssets) as run:
        yield run


@contextmanager
def launched(environment: dict[str, str], server: overhead.served, kind: type[overhead.Launched]) -> Iterator[Job]:
    """Runs launched at a webserver, which are waited for."""
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance, server as client:
        runs = kind(client, instance)
        if kind is overhead.Launched:
            overhead.take_in_history(Path(environment["OVERHEAD_HOME"]), runs)

        def run(job: str, argument: str) -> Cost:
            with Watch(server.process) as watch:
                runs.batch(argument) if job == "batch" else runs.training(int(argument))
            return watch.cost

        yield run


class PlainAssets(overhead.Launched):
    """Runs of the plain assets in `peers/dagster`."""

    def training(self, trial: int) -> None:
        config = {"ops": {"model": {"config": {"trial": trial}}}}
        self._wait(self._client.submit_job_execution("training", run_config=config))

    def batch(self, key: str) -> None:
        config = {"ops": {asset: {"config": {"key": key}} for asset in ("frame", "predictions", "report")}}
        self._wait(self._client.submit_job_execution("batch", run_config=config))
