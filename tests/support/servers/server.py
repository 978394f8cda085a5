"""A service of deploy/services as tests see it: started, stopped, paused, started again on the same data."""

import contextlib
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

import psutil
import pytest

from support.relay import free_port

REPOSITORY = Path(__file__).parents[3]
NOT_INSTALLED = 69
PATIENCE = 90.0


class Server:
    """One service on a port of its own. `environment` holds the variables that its clients set."""

    def __init__(
        self,
        service: str,
        folder: Path,
        *options: str,
        answers: Callable[["Server"], bool],
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
        keeps_when_killed: bool = True,
    ) -> None:
        self.service, self.folder, self.port = service, folder, port or free_port()
        self.environment: dict[str, str] = {}
        self._options, self._answers, self._given = options, answers, environment or {}
        self._keeps_when_killed = keeps_when_killed
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file of what the server has printed."""
        return self.folder / "log"

    def start(self) -> None:
        """Start the server on its data and port, and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", f"deploy.services.{self.service}", "--folder", str(self.folder)]
        command += ["--port", str(self.port), *self._options]
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **self._given}
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        try:
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill the server at once with all its processes, as a machine that loses its power."""
        processes = self._processes()
        if processes and not self._keeps_when_killed:
            self.resume()
            processes[0].terminate()
            psutil.wait_procs(processes[:1], timeout=10)
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=30)
        if self._process is not None:
            self._process.wait(30)
            self._process = None

    def pause(self) -> None:
        """Let the server accept connections and never answer (a black hole), until `resume`."""
        for process in self._processes():
            process.suspend()

    def resume(self) -> None:
        """Let a paused server go on where it was."""
        for process in self._processes():
            process.resume()

    def _processes(self) -> list[psutil.Process]:
        # Not the process group: PostgreSQL's processes lead groups of their own.
        if self._process is None:
            return []
        try:
            server = psutil.Process(self._process.pid)
            return [server, *server.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _listens(self) -> bool:
        with socket.socket() as knock:  # clients of a store take seconds to say that nobody does
            return knock.connect_ex(("127.0.0.1", self.port)) == 0

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if process.poll() == NOT_INSTALLED:
                pytest.skip(self.log.read_text().strip().splitlines()[-1])
            assert process.poll() is None, self.log.read_text(errors="replace")
            if (self.folder / "environment").exists():
                self.environment = _variables(self.folder / "environment")
                if self._listens() and self._answers(self):
                    return
            time.sleep(0.1)
        said = self.log.read_text(errors="replace")[-5000:]
        raise AssertionError(f"{self.service} does not answer on port {self.port}: {said}")


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Start a server, and stop it at the end."""
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def folder_of(service: str) -> Iterator[Path]:
    """Give a folder that also another user may enter, as root's PostgreSQL does; remove it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"{service}-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        rmtree(folder, ignore_errors=True)


def _variables(path: Path) -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(path.read_text()))
