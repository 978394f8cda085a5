"""A process of this machine, told from a later one that has its number."""

from __future__ import annotations

import json
import os
import signal
import socket
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

PROCESS = ".dagster/mlops_assets_process"
"""The tag of a run that names its process: the run, then the process as `Living.to_json` writes it.

Dagster's UI does not show tags that begin so.
"""


@dataclass(frozen=True)
class Living:
    """A process: the host, the host's boot, the number `pid`, and `started` in clock ticks since the boot."""

    host: str
    boot: str
    pid: int
    started: int

    @classmethod
    def this(cls) -> Living:
        """Return this process."""
        return cls(socket.gethostname(), _boot(), os.getpid(), _stat(os.getpid())[1])

    @classmethod
    def from_json(cls, text: str) -> Living:
        """Return the process that `to_json` wrote; raises `ValueError` for any other text."""
        told = json.loads(text)
        try:
            return cls(str(told["host"]), str(told["boot"]), int(told["pid"]), int(told["started"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"{text!r} is not a process: expected host, boot, pid, started") from error

    def to_json(self) -> str:
        """Return the process as one line of JSON."""
        return json.dumps(asdict(self))

    @property
    def is_here(self) -> bool:
        """Whether the process is, or was, one of this machine."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether the process of this machine has not ended."""
        if self.boot != _boot():
            return False
        try:
            state, started = _stat(self.pid)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return state not in ("Z", "X") and started == self.started

    def interrupt(self, name: str) -> bool:
        """Send what Ctrl-C sends; return False if the process has ended, or has another name than this."""
        try:
            if not self.is_alive or Path(f"/proc/{self.pid}/comm").read_text().strip() != name:
                return False
            os.kill(self.pid, signal.SIGINT)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return True


def _stat(pid: int) -> tuple[str, int]:
    """Return state and start of a process: fields 3 and 22 of /proc/PID/stat, where the name may hold anything."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return fields[0], int(fields[19])


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def name_of_process(run_id: str) -> str:
    """Return the name that the process of a run has; the kernel keeps 15 letters."""
    return f"run {run_id[:8]}"
