"""A Dask scheduler with workers, each a process of its own on loopback, which a test may kill or pause."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import distributed
import psutil

from support import TESTS
from support.relay import free_port


class DaskCluster:
    """A scheduler and its workers of one thread each, without nannies: what is killed stays away."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"tcp://127.0.0.1:{self.port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler: subprocess.Popen[bytes] | None = None

    def start(self, workers: int = 2) -> None:
        """Start the scheduler and its workers, and wait until they are there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.scheduler = self._process("dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port))
        deadline = time.monotonic() + 60
        while not self._listens():
            assert self.scheduler.poll() is None and time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)
        for _ in range(workers):
            self.add_worker()
        if workers:  # on a busy machine they take longer to start than a test lets its client wait
            with distributed.Client(self.url, timeout=60, set_as_default=False) as client:
                client.wait_for_workers(workers, timeout=60)

    def add_worker(self) -> None:
        """Start one more worker, which comes some seconds later."""
        options = ("--nthreads", "1", "--no-nanny", "--host", "127.0.0.1", "--local-directory", str(self.folder))
        self.workers.append(self._process("dask_worker", self.url, *options))

    def kill_worker(self) -> None:
        """End the oldest worker at once."""
        _kill(self.workers.pop(0))

    def kill_scheduler(self) -> None:
        """End the scheduler at once; its workers find that out."""
        assert self.scheduler is not None
        _kill(self.scheduler)

    @contextmanager
    def paused_scheduler(self) -> Iterator[None]:
        """Let the scheduler accept connections and never answer meanwhile."""
        assert self.scheduler is not None
        process = psutil.Process(self.scheduler.pid)
        process.suspend()
        try:
            yield
        finally:
            process.resume()

    def stop(self) -> None:
        """End all processes at once."""
        for process in [*self.workers, *([self.scheduler] if self.scheduler else [])]:
            _kill(process)
        self.workers, self.scheduler = [], None

    @property
    def _log(self) -> Path:
        return self.folder / "dask.log"

    def _process(self, program: str, *options: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", f"distributed.cli.{program}", *options, "--no-dashboard"]
        path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
        with self._log.open("ab") as output:
            return subprocess.Popen(
                command, cwd=self.folder, env={**os.environ, "PYTHONPATH": path}, stdout=output, stderr=output
            )

    def _listens(self) -> bool:
        with socket.socket() as knock:
            return knock.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def dask_cluster(folder: Path, workers: int = 2) -> Iterator[DaskCluster]:
    """Start a cluster, and end it."""
    cluster = DaskCluster(folder)
    try:
        cluster.start(workers)
        yield cluster
    finally:
        cluster.stop()


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    process.wait(30)
