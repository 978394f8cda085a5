"""A server as tests see it: started, stopped, paused, started again with the same data and port."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

NOT_INSTALLED = 69
PATIENCE = 90.0


class Process:
    """A command that goes on, its output in `log`, until it is stopped."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        folder: Path,
        environment: Mapping[str, str],
        port: int | None = None,
        keeps_when_killed: bool = True,
    ) -> None:
        self.command, self.log, self.folder, self.port = list(command), log, folder, port
        self._own, self._keeps_when_killed = dict(environment), keeps_when_killed
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def said(self) -> str:
        """What the server has printed."""
        return self.log.read_text(errors="replace")

    @property
    def runs(self) -> bool:
        """Whether it has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    def answers(self) -> bool:
        """Whether it does its work, once its port is open."""
        return True

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                **{"cwd": self.folder, "env": {**os.environ, **self._own}, "stdout": output, "stderr": output},
                start_new_session=True,
            )
        try:
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill the server at once with all its processes, as a machine that loses its power."""
        processes = self.processes()
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
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # one that served a client, which ended meanwhile
                process.suspend()

    def resume(self) -> None:
        """Let a paused server go on where it was."""
        for process in self.processes():
            with contextlib.suppress(psutil.NoSuchProcess):  # one that served a client, which ended meanwhile
                process.resume()

    def processes(self) -> list[psutil.Process]:
        """Return its process and all that descend from it."""
        # Not the process group: PostgreSQL's processes lead groups of their own.
        if self._process is None:
            return []
        try:
            server = psutil.Process(self._process.pid)
            return [server, *server.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if process.poll() == NOT_INSTALLED:
                pytest.skip(self.said.strip().splitlines()[-1])
            assert process.poll() is None, self.said[-5000:]
            if self._listens() and self.answers():
                return
            time.sleep(0.1)
        raise AssertionError(f"{' '.join(self.command)} does not answer on port {self.port}: {self.said[-5000:]}")

    def _listens(self) -> bool:
        if self.port is None:
            return True
        with socket.socket() as knock:  # clients of a store take seconds to say that nobody does
            return knock.connect_ex(("127.0.0.1", self.port)) == 0


AnyProcess = TypeVar("AnyProcess", bound=Process)


@contextmanager
def running(process: AnyProcess) -> Iterator[AnyProcess]:
    """Start a server, and stop it at the end."""
    process.start()
    try:
        yield process
    finally:
        process.stop()
