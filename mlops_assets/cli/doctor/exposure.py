"""Who can reach the servers of this machine: neither Dagster nor MLflow asks for a password."""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
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
_DAGSTER = re.compile(r"(dagster|dg$)")
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
    """A socket that accepts connections from other machines, and the command lines of the processes that share it."""

    address: str
    port: int
    commands: tuple[tuple[str, ...], ...]

    @property
    def server(self) -> str:
        """The server that a command line shows, "MLflow" or "Dagster", else ""."""
        words = [Path(word).name for command in self.commands for word in _program(command)]
        if any(word.split(".")[0] == "mlflow" for word in words):
            return "MLflow"
        return "Dagster" if any(_DAGSTER.match(word) for word in words) else ""


def exposure(ports: Iterable[int]) -> Iterator[Finding]:
    """Yield the servers that other machines reach without a password.

    ports: where servers are expected, so that servers of another user's processes are seen as well.
    """
    name = "reachable servers"
    if not _TABLES[0].exists():
        yield advice(name, "this system does not tell what listens", "Neither Dagster nor MLflow asks for a password.")
        return
    expected, found = set(ports), False
    for each in open_listeners():
        if not each.server and each.port not in expected:
            continue
        server = each.server or _asked(each)
        if server and not _asks_who(each):
            found = True
            where = f"{each.address} port {each.port}"
            yield fault(f"{server} reachable", f"listens on {where} without a password", _WHY[server], _MEND[server])
    if not found:
        yield fine(name, "no server of Dagster or MLflow takes connections from other machines without a password")


def open_listeners() -> list[Listener]:
    """Return all sockets of this machine that listen on an address other than loopback."""
    sockets: dict[str, tuple[str, int]] = {}
    for path in _TABLES:
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            fields = line.split()
            address, port = _address(fields[1])
            if fields[3] == _LISTENING and not ipaddress.ip_address(address).is_loopback:
                sockets[fields[9]] = address, port
    commands = _commands(set(sockets))
    return [Listener(*where, tuple(commands.get(inode, ()))) for inode, where in sorted(sockets.items(), key=str)]


def _program(command: Sequence[str]) -> Iterator[str]:
    """Yield the words that say what runs: the program, Python's script or module, the application of a web server."""
    yield from command[:2]
    yield from (word for before, word in pairwise(command) if before == "-m")
    yield from (word for word in command if re.fullmatch(r"[\w.]+:\w+", word))


def _address(text: str) -> tuple[str, int]:
    """Return address and port: `0100007F:0BB8` is 127.0.0.1 port 3000, words of 4 bytes in the machine's byte order."""
    host, port = text.split(":")
    words = [bytes.fromhex(host[start : start + 8])[::-1] for start in range(0, len(host), 8)]
    found = ipaddress.ip_address(b"".join(words))
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found), int(port, 16)


def _commands(inodes: set[str]) -> dict[str, list[tuple[str, ...]]]:
    """Return command lines by socket, of the processes that this user may read; workers share their parent's socket."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # another user's process, or one that has ended
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    link = str(descriptor.readlink())
                    if link.startswith("socket:[") and link[8:-1] in inodes:
                        command = (process / "cmdline").read_text(errors="replace")
                        found.setdefault(link[8:-1], []).append(tuple(command.split("\0")))
    return found


def _asked(listener: Listener) -> str:
    """Return the server that answers there, "MLflow" or "Dagster", else ""."""
    if "dagster_webserver_version" in _answer(listener, "/server_info")[1]:
        return "Dagster"
    status, text = _answer(listener, "/version")
    return "MLflow" if status == 200 and _answer(listener, "/health")[1] == "OK" and text[:1].isdigit() else ""


def _asks_who(listener: Listener) -> bool:
    """Return whether the server refuses requests without a password."""
    return any(_answer(listener, path)[0] in (401, 403) for path in ("/version", "/server_info"))


def _answer(listener: Listener, path: str) -> tuple[int, str]:
    """Return status and text of an HTTP answer; 0 and "" without an answer."""
    host = "127.0.0.1" if listener.address in ("0.0.0.0", "::") else listener.address
    where = f"[{host}]" if ":" in host else host
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"http://{where}:{listener.port}{path}", timeout=_SECONDS) as answer:
            return answer.status, answer.read(10_000).decode(errors="replace")
    except HTTPError as error:
        return error.code, ""
    except (OSError, ValueError):  # no HTTP, or no answer in time
        return 0, ""
