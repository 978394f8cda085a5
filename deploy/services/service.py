"""What each service has: a folder, a port on loopback, and a file of the variables that its clients set."""

import argparse
import os
import secrets
import shlex
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

HOST = "127.0.0.1"


def arguments(of: str | None, port: int) -> argparse.ArgumentParser:
    """Return a parser of what every service is given; `of` is the docstring of its module."""
    parser = argparse.ArgumentParser(description=of, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=lambda text: Path(text).resolve(), required=True, help="where all of it lies")
    parser.add_argument("--port", type=int, default=port, help="where it listens (default: %(default)s)")
    address = "the address that it listens on; one that others reach belongs into a closed network"
    parser.add_argument("--host", default=HOST, help=f"{address} (default: %(default)s)")
    return parser


def kept_secret(folder: Path, name: str) -> str:
    """Return the environment's value of a variable, else one that is made at the first start and kept in the folder."""
    if value := os.environ.get(name):
        return value
    kept = folder / f"secret_{name}"
    if not kept.exists():
        _write_private(kept, secrets.token_hex(16))
    return kept.read_text()


def kept_port(folder: Path, name: str) -> int:
    """Return a port for what only the service itself uses: a free one at the first start, and the same ever after."""
    kept = folder / f"port_{name}"
    if not kept.exists():
        kept.write_text(str(free_port()))
    return int(kept.read_text())


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        return int(free.getsockname()[1])


def become(
    command: Sequence[object], folder: Path, *, clients: Mapping[str, str], own: Mapping[str, str] | None = None
) -> NoReturn:
    """Write the variables of the `clients` and turn this process into the server, with variables of its `own`."""
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in clients.items()]
    _write_private(folder / "environment", "".join(lines))
    print(f"Clients set what {folder / 'environment'} says. Ctrl-C ends it.", flush=True)
    os.chdir(folder)
    words = [str(word) for word in command]
    os.execvpe(words[0], words, {**os.environ, **(own or {})})


def beside_python(program: str) -> str:
    """Return the path of a program that was installed with this Python."""
    return str(Path(sys.executable).with_name(program))


def missing(what: str, how: str) -> NoReturn:
    """End with the code of a program that is not there (`EX_UNAVAILABLE`), and say how to install it."""
    print(f"{what} is not installed: {how}", file=sys.stderr)
    sys.exit(69)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)
