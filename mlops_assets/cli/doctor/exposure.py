"""Who can reach the servers of this machine: neither Dagster nor MLflow asks for a password."""

import ipaddress
import re
from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from mlops_assets.cli.doctor.findings import Finding, advice, fault, fine

_LISTENING = "0A"
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_SECONDS = 3.0
_MEND = {
    "Dagster": "start it with `-h 127.0.0.1` and reach it through an SSH tunnel or a proxy that asks for a password",
    "MLflow": "start it with `--host 127.0.0.1`, or behind a proxy or `--app-name basic-auth` that asks for a password",
}
_WHY = {
    "Dagster": "Whoever reaches it launches any job with any configuration: your code, on your machine, as you.",
    "MLflow": "Whoever reaches it reads, replaces and deletes models and moves aliases.",
}


@dataclass(frozen=True)
class Listener:
    """A socket that accepts connections from other machines.

    server: what the command lines of the processes that share the socket show, "MLflow" or "Dagster", else "".
    """

    address: str
    port: int
    server: str


def exposure(ports: Container[object]) -> list[Finding]:
    """Return the servers that other machines reach without a password.

    ports: where servers are expected, so that servers of another user's processes are seen as well.
    """
    name = "reachable servers"
    if not _TABLES[0].exists():
        why = "Neither Dagster nor MLflow asks for a password."
        return [advice(name, "this system does not show which ports are open", why)]
    findings = []
    for listener in open_listeners():
        server = listener.server or (_answering_server(listener) if listener.port in ports else "")
        if server and not _needs_password(listener):
            text = f"listens on {listener.address} port {listener.port} without a password"
            findings.append(fault(f"{server} reachable", text, _WHY[server], _MEND[server]))
    no_server = "no server of Dagster or MLflow takes connections from other machines without a password"
    return findings or [fine(name, no_server)]


def open_listeners() -> list[Listener]:
    """Return all sockets of this machine that listen on an address other than loopback."""
    sockets: dict[str, tuple[str, int]] = {}
    for path in _TABLES:
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            address, port = _address(fields[1])
            if fields[3] == _LISTENING and not ipaddress.ip_address(address).is_loopback:
                sockets[fields[9]] = address, port
    programs = _programs(sockets)
    return [Listener(*where, _server(programs[inode])) for inode, where in sorted(sockets.items(), key=str)]


def _server(words: Iterable[str]) -> str:
    names = [Path(word).name for word in words]
    if any(name.split(".")[0] == "mlflow" for name in names):
        return "MLflow"
    return "Dagster" if any(name == "dg" or name.startswith("dagster") for name in names) else ""


def _address(text: str) -> tuple[str, int]:
    """Return address and port: `0100007F:0BB8` is 127.0.0.1 port 3000, words of 4 bytes in the machine's byte order."""
    host, port = text.split(":")
    words = [bytes.fromhex(host[start : start + 8])[::-1] for start in range(0, len(host), 8)]
    address = ipaddress.ip_address(b"".join(words))
    return str(getattr(address, "ipv4_mapped", None) or address), int(port, 16)


def _programs(inodes: Iterable[str]) -> dict[str, list[str]]:
    """Return the words that say what runs, by socket, of the processes that this user may read.

    Workers share the socket of their parent.
    """
    programs: dict[str, list[str]] = {inode: [] for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # another user's process, or one that has ended
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    inode = str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]")
                    if inode in programs:
                        programs[inode] += _program((process / "cmdline").read_text(errors="replace").split("\0"))
    return programs


def _program(command: list[str]) -> list[str]:
    """Return the program, Python's script or module, and the application of a web server."""
    modules = [word for before, word in pairwise(command) if before == "-m"]
    applications = [word for word in command if re.fullmatch(r"[\w.]+:\w+", word)]
    return [*command[:2], *modules, *applications]


def _answering_server(listener: Listener) -> str:
    """Return the server that answers at an address, "MLflow" or "Dagster", else ""."""
    if "dagster_webserver_version" in _answer(listener, "/server_info")[1]:
        return "Dagster"
    status, text = _answer(listener, "/version")
    return "MLflow" if status == 200 and _answer(listener, "/health")[1] == "OK" and text[:1].isdigit() else ""


def _needs_password(listener: Listener) -> bool:
    """Return whether the server refuses requests without a password."""
    return any(_answer(listener, path)[0] in (401, 403) for path in ("/version", "/server_info"))


def _answer(listener: Listener, path: str) -> tuple[int, str]:
    """Return status and text of an HTTP answer; 0 and "" without an answer."""
    host = "127.0.0.1" if listener.address in ("0.0.0.0", "::") else listener.address
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.port}{path}"
    try:
        with build_opener(ProxyHandler({})).open(url, timeout=_SECONDS) as answer:
            return answer.status, answer.read(10_000).decode(errors="replace")
    except HTTPError as error:
        return error.code, ""
    except (OSError, ValueError):  # no HTTP, or no answer in time
        return 0, ""
