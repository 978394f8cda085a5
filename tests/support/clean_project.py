"""A project of Dagster's own scaffold, with an environment, a home and an instance of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from uv import find_uv_bin

REPOSITORY = Path(__file__).parents[2]
CONSTRAINTS = REPOSITORY / "constraints.txt"
OURS = re.compile(r"DAGSTER|DG_|MLFLOW_TRACKING|MLOPS_ASSETS|PYTHON|VIRTUAL_ENV|LOOP_")
"""Variables by which a developer's shell, or another test, would reach into the clean project."""


def uv(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> None:
    """Run uv, whose output is shown where it fails."""
    command = [find_uv_bin(), *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def cache_folder() -> str:
    """Where uv keeps what it has fetched, also for a command whose home is another."""
    return subprocess.run([find_uv_bin(), "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()


def pinned(package: str) -> str:
    """The version of a package in constraints.txt."""
    (version,) = re.findall(rf"^{package}==(\S+)$", CONSTRAINTS.read_text(), re.MULTILINE)
    return version


class CleanProject:
    """The project `shop`, as `create-dagster project shop` makes it, in an environment with nothing of ours."""

    def __init__(self, folder: Path) -> None:
        self.root, self.home, self.venv = folder / "shop", folder / "home", folder / "venv"
        (self.home / ".dagster").mkdir(parents=True)
        (self.home / ".dagster/dagster.yaml").write_text("telemetry: {enabled: false}\n")
        outside = {name: value for name, value in os.environ.items() if not OURS.match(name)}
        self.environment = {
            **outside,
            "HOME": str(self.home),
            "PATH": f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "OMP_WAIT_POLICY": "PASSIVE",
            "COLUMNS": "120",
        }
        uv("venv", "--seed", "--python", sys.executable, self.venv)
        scaffold = f"create-dagster=={pinned('dagster')}"  # releases come with those of dagster
        command = ("create-dagster", "project", "shop", "--no-uv-sync")
        uv("tool", "run", "--from", scaffold, *command, cwd=folder, HOME=str(self.home), UV_CACHE_DIR=cache_folder())

    def install(self, *packages: str | Path) -> None:
        """The project and packages at the versions of constraints.txt."""
        ordinary = ("-e", self.root, "dagster-dg-cli", "dagster-webserver")
        uv("pip", "install", "-c", CONSTRAINTS, *ordinary, *packages, VIRTUAL_ENV=str(self.venv))

    def write(self, path: str, text: str) -> None:
        """A file of the project."""
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def run(self, *command: str, **environment: str) -> str:
        """What a command that succeeds in the project says on both streams."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
        return done.stdout

    def start(self, *command: str, log: Path, **environment: str) -> "subprocess.Popen[bytes]":
        """A command that goes on until it is ended, in a process group of its own."""
        with log.open("wb") as output:
            return subprocess.Popen(
                command,
                cwd=self.root,
                env={**self.environment, **environment},
                stdout=output,
                stderr=output,
                start_new_session=True,
                # a shell that runs the tests in the background has them, and what they start, ignore Ctrl-C
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )


def stop(process: "subprocess.Popen[bytes]") -> None:
    """Ctrl-C, upon which it ends within a minute, and all that it started."""
    try:
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_until(holds: Callable[[], bool], what: str, log: Path, patience: float = 600.0) -> None:
    """Look once a second; `TimeoutError` with what did not come about, and the end of the log."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(1)
    raise TimeoutError(f"after {patience:.0f} s still not: {what}\n{log.read_text()[-5_000:]}")


def months_of_rentals(months: int, rows_a_month: int = 200) -> pd.DataFrame:
    """Hours at random in consecutive months; rentals follow the temperature, more of them on working days."""
    random = np.random.default_rng(7)
    frames = []
    for month in range(1, months + 1):
        hours = np.sort(random.choice(28 * 24, rows_a_month, replace=False))
        hour = pd.Timestamp(f"2025-{month:02d}-01") + pd.to_timedelta(hours, unit="h")
        temperature = 12 + 8 * np.sin((hours % 24 - 6) / 24 * 2 * np.pi) + random.normal(0, 3, rows_a_month)
        workday = (hour.dayofweek < 5).astype(int)
        rentals = (100 + 9 * temperature + 60 * workday + random.normal(0, 15, rows_a_month)).round().clip(0)
        columns = {"hour": hour, "temperature": temperature.round(1), "workday": workday, "rentals": rentals}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)
