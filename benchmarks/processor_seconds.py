"""Processor seconds: of a command until its exit, or of a server and all below it while a run lasts."""

import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Cost:
    """What a run took: seconds on the clock, and seconds of processors (user and system)."""

    wall: float
    processor: float


def of_command(command: Sequence[str], folder: Path, environment: Mapping[str, str], log: Path) -> Cost:
    """Run a command to its exit; the processes that it waits for count."""
    with log.open("wb") as out:
        begin = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}:\n{log.read_text()[-4000:]}")
    return Cost(wall, usage.ru_utime + usage.ru_stime)


class Watch:
    """The seconds that a server and all processes below it take while the watch lasts, looked at ten times a second.

    What a process does after it was last looked at is missed: at most a tenth of a second each.
    """

    def __init__(self, server: int) -> None:
        self._server = psutil.Process(server)
        self._over = threading.Event()

    def __enter__(self) -> "Watch":
        self._first = self._last = self._look()
        self._begin = time.perf_counter()
        self._watching = threading.Thread(target=self._watch)
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wall = time.perf_counter() - self._begin
        self._over.set()
        self._watching.join()

    @property
    def cost(self) -> Cost:
        """What passed between begin and end."""
        seconds = sum(spent - self._first.get(process, 0.0) for process, spent in self._last.items())
        return Cost(self._wall, seconds)

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self._last = self._last | self._look()
        self._last = self._last | self._look()

    def _look(self) -> dict[psutil.Process, float]:
        spent = {}
        for process in [self._server, *self._server.children(recursive=True)]:
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            spent[process] = times.user + times.system
        return spent
