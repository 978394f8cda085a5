"""A code server on this machine: its folder and its variables, in which its runs run."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlops_assets.dagster_private import LaunchRunContext, socket_of_code_server


@dataclass(frozen=True)
class CodeServer:
    """The working directory of a code server, and the environment that it was started with."""

    folder: str
    environment: Mapping[str, str]

    @classmethod
    def of_process(cls, pid: int | str) -> CodeServer:
        """Return what a process of this user was started with; raises `OSError` if it has ended."""
        pairs = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="surrogateescape").split("\0")
        return cls(os.readlink(f"/proc/{pid}/cwd"), dict(pair.split("=", 1) for pair in pairs if "=" in pair))


def code_server_here(context: LaunchRunContext) -> CodeServer | None:
    """Return the code server of a run; None if it is on another machine, in a container or of another Python.

    A code server on this machine listens on a socket in the file system, whose other end is a process that one sees.
    """
    origin, address = context.job_code_origin, socket_of_code_server(context)
    if sys.platform != "linux" or origin is None or address is None:
        return None
    if origin.repository_origin.executable_path != sys.executable:
        return None
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5.0)
            connection.connect(address)
            pid, _, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return CodeServer.of_process(pid)
    except OSError:  # it is gone, or another user's, or in another container
        return None
