"""The warm process: it imports libraries, listens, and forks a process for each run.

It must have one thread when it forks, since a lock that another thread holds would stay locked in the run for ever. So
it does nothing but import: it computes nothing, opens no database and asks no server. The user's code is not imported
here; each run loads it anew.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlops_assets.launcher.forked_run import forked_run
from mlops_assets.launcher.preloading import Seen, changed_file, files_of_modules, preload

IDLE_SECONDS = 60.0
"""How long it stays after the last process that needs it has ended."""

_KEPT_BACK = [signal.SIGINT, signal.SIGTERM]
_SECONDS_TO_READ = 5.0
_MOST_BYTES = 4_000_000


class WarmProcess:
    """Listens at a socket, and answers each connection's first line.

    `{"stay": true}`: the process stays as long as this connection is open. `{"state": true}`: what it is. Anything else
    is a run, with the descriptors of its output: a fork answers, see `forked_run`.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._files = [folder / f"{name}.{kind}" for kind in ("lock", "socket", "log")]
        self._lock = _lock(self._files[0])
        self._listener = _listen(self._files[1])
        self._needed_by: set[socket.socket] = set()
        self._environment = dict(os.environ)
        self._added: dict[str, str] = {}
        self._seen: Seen = {}
        self._idle_since = time.monotonic()

    def preload(self, names: Sequence[str]) -> None:
        """Import the modules, and keep the variables that they set."""
        failed = preload(names)
        self._seen = files_of_modules()
        self._added = {name: text for name, text in os.environ.items() if name not in self._environment}
        threads, seconds = _threads(), time.process_time()
        print(*failed, f"ready: {len(sys.modules):,} modules, {seconds:.1f} s of processor", sep="\n", flush=True)
        if len(threads) > 1:
            print(f"it cannot fork: more than one thread ({', '.join(threads)})", flush=True)

    def serve(self) -> None:
        """Answer connections until nobody needs the process, or what it has imported has changed."""
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel forgets a run that has ended
        while self._needed_by or time.monotonic() - self._idle_since < IDLE_SECONDS:
            ready, _, _ = select.select([self._listener, *self._needed_by], [], [], 5.0)
            for connection in ready:
                if connection is self._listener:
                    if not self._answer(self._listener.accept()[0]):
                        return
                else:  # nothing is ever said there: the process at its other end is gone
                    self._needed_by.discard(connection)
                    connection.close()
                    self._idle_since = time.monotonic()

    def remove_files(self) -> None:
        """Remove what stands at the place; a process that is killed leaves it to the next one there."""
        for file in self._files:
            file.unlink(missing_ok=True)

    def _answer(self, connection: socket.socket) -> bool:
        """Answer the first line of a connection; return False if the process is of no more use."""
        stays = False
        try:
            connection.settimeout(_SECONDS_TO_READ)
            if _user_of(connection) != os.geteuid():
                return True
            line, descriptors = _read(connection)
            try:
                request = json.loads(line)
                stays = "stay" in request
                if stays:
                    self._needed_by.add(connection)
                elif "state" in request:
                    connection.sendall(json.dumps(self._state()).encode() + b"\n")
                elif refusal := self._refusal():
                    connection.sendall(json.dumps({"refused": refusal}).encode() + b"\n")
                    return len(_threads()) > 1  # another one would have the same threads
                else:
                    self._fork(connection, request, descriptors)
            finally:
                for descriptor in descriptors:
                    os.close(descriptor)
        except (OSError, ValueError) as error:  # the other end is gone, or said something else
            print(f"a connection ended: {error}", flush=True)
        finally:
            if not stays:
                connection.close()
        return True

    def _refusal(self) -> str:
        """Say why the process cannot fork any more, or ""."""
        threads = _threads()
        if len(threads) > 1:
            return f"the warm process has {len(threads)} threads: {', '.join(threads)}"
        changed = changed_file(self._seen)
        return "" if changed is None else f"{changed} changed since the warm process imported it"

    def _state(self) -> dict[str, Any]:
        memory = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
        return {
            "pid": os.getpid(),
            "memory_mb": int(memory.split()[1]) // 1024,
            "threads": _threads(),
            "needed_by": len(self._needed_by),
            "changed": changed_file(self._seen) or "",
        }

    def _fork(self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, _KEPT_BACK)
        try:
            if os.fork() == 0:
                # As a process that was started by itself: what is registered for its end happens.
                sys.exit(self._run(connection, request, descriptors))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _KEPT_BACK)

    def _run(self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> int:
        try:
            self._let_go(descriptors)
            return forked_run(connection, {**self._added, **request["environment"]}, request)
        except BaseException:  # the launcher, or monitoring, finds that the process is gone
            traceback.print_exc()
            return 1

    def _let_go(self, descriptors: list[int]) -> None:
        """Close in a fork what belongs to the warm process, and take the descriptors of the run's output."""
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._listener.close()
        os.close(self._lock)
        for needed_by in self._needed_by:
            needed_by.close()
        for number, descriptor in enumerate(descriptors[:2], start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        descriptors.clear()


def _lock(path: Path) -> int:
    """Return the descriptor of the lock that only one process of a place holds; end if another one has it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(0)
    return lock


def _listen(path: Path) -> socket.socket:
    """Listen at a path: a connection waits there until all is imported."""
    listener = socket.socket(socket.AF_UNIX)
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    path.unlink(missing_ok=True)
    listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)
    path.chmod(0o600)
    listener.listen(128)
    return listener


def _read(connection: socket.socket) -> tuple[bytes, list[int]]:
    """Return the first line, and the descriptors that came with it."""
    line, descriptors, _, _ = socket.recv_fds(connection, 65_536, 2)
    while not line.endswith(b"\n"):
        part = connection.recv(65_536)
        if not part or len(line) > _MOST_BYTES:
            for descriptor in descriptors:
                os.close(descriptor)
            raise ValueError(f"{len(line):,} bytes without an end of the line")
        line += part
    return line, descriptors


def _user_of(connection: socket.socket) -> int:
    """Return the number of the user at the other end."""
    _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(user)


def _threads() -> list[str]:
    """Return the names of the threads of this process, those of libraries in C too."""
    return [Path(f"/proc/self/task/{number}/comm").read_text().strip() for number in os.listdir("/proc/self/task")]


def main() -> None:
    """Serve as the warm process of a place: FOLDER NAME MODULE..."""
    folder, name, *modules = sys.argv[1:]
    process = WarmProcess(Path(folder), name)
    process.preload(modules)
    try:
        process.serve()
        process.remove_files()
    except KeyboardInterrupt:  # Ctrl-C ends all processes of a terminal
        sys.exit(0)


if __name__ == "__main__":
    main()
