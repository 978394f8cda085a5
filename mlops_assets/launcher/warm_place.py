"""Where the warm process of an environment listens: a socket below DAGSTER_HOME, and how one is started there."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_OF_A_SHELL = {"_", "SHLVL", "PWD", "OLDPWD", "COLUMNS", "LINES", "WINDOWID", "PYTEST_CURRENT_TEST"}
"""Variables that no library reads when it is imported, and that differ between the processes of one deployment."""

_WITHOUT_THREADS = {"JE_ARROW_MALLOC_CONF": "background_thread:false", "OPENBLAS_NUM_THREADS": "1"}
"""Variables of the warm process, with which pyarrow, numpy and scipy start no threads; a run has its own."""

_SECONDS_TO_LISTEN = 10.0

_started: list[subprocess.Popen[bytes]] = []
_stays: dict[str, socket.socket] = {}
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class WarmPlace:
    """The place of the warm process for runs with an environment; processes with another one have another place.

    Libraries read variables when they are imported, so that a process that has imported them suits one environment.
    """

    folder: Path
    name: str
    environment: Mapping[str, str]
    preload: tuple[str, ...]

    @classmethod
    def of(cls, home: Path, environment: Mapping[str, str], preload: tuple[str, ...]) -> WarmPlace:
        """Return the place below a DAGSTER_HOME."""
        matters = {name: value for name, value in environment.items() if name not in _OF_A_SHELL}
        key = json.dumps([sys.executable, sys.version, sorted(matters.items()), preload])
        name = f"{socket.gethostname()}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
        return cls(home / "warm", name, environment, preload)

    @classmethod
    def all(cls, home: Path) -> list[WarmPlace]:
        """Return the places of this machine below a DAGSTER_HOME at which a process may listen."""
        found = (home / "warm").glob(f"{socket.gethostname()}-*.socket")
        return [cls(home / "warm", path.stem, {}, ()) for path in sorted(found)]

    @property
    def log(self) -> Path:
        """The file that has what the warm process says."""
        return self.folder / f"{self.name}.log"

    @contextmanager
    def address(self) -> Iterator[str]:
        """Yield the address of the socket; by a descriptor, since a path may be longer than an address may be."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{folder}/{self.name}.socket"
        finally:
            os.close(folder)

    def connect(self, seconds: float) -> socket.socket:
        """Return a connection to the process that listens; raises `OSError` if none does."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(seconds)
        try:
            with self.address() as address:
                connection.connect(address)
        except OSError:
            connection.close()
            raise
        return connection

    def connect_or_start(self, seconds: float) -> socket.socket:
        """Return a connection to the process that listens, which is started if none does; it may not be ready yet."""
        try:
            return self.connect(seconds)
        except OSError:
            process = self._start()
        until = time.monotonic() + _SECONDS_TO_LISTEN
        while True:
            try:
                return self.connect(seconds)
            except OSError:
                # One that finds another one at its place ends, with code 0.
                if process.poll() or time.monotonic() > until:
                    raise
            time.sleep(0.02)

    def state(self, seconds: float) -> dict[str, Any]:
        """Return what the process that listens says of itself; raises `OSError` if none does, or not soon."""
        with self.connect(seconds) as connection:
            connection.sendall(b'{"state": true}\n')
            told: dict[str, Any] = json.loads(connection.makefile().readline() or "{}")
        return told

    def _start(self) -> subprocess.Popen[bytes]:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            # -P: a package must not come from the folder that some process happens to be in.
            command = [sys.executable, "-P", "-m", "mlops_assets.launcher.warm_process", str(self.folder), self.name]
            process = subprocess.Popen(
                [*command, *self.preload],
                env={**self.environment, **_WITHOUT_THREADS},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            _started[:] = [*(earlier for earlier in _started if earlier.poll() is None), process]
            return process
        finally:
            os.close(log)


def stay(place: WarmPlace) -> None:
    """Start the warm process of a place if it does not run, and keep it as long as this process lives."""
    with _one_at_a_time:
        if place.name in _stays:
            if not _has_ended(_stays[place.name]):
                return
            _stays.pop(place.name).close()
        try:
            connection = place.connect_or_start(5.0)
            connection.sendall(b'{"stay": true}\n')
        except OSError:  # a launch finds the same, and says so in its run
            return
        connection.setblocking(False)
        _stays[place.name] = connection


def _has_ended(connection: socket.socket) -> bool:
    """Whether the other end of a connection, which never says anything, is gone."""
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
