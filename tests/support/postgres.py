"""A real PostgreSQL on loopback for tests: Debian's package, a folder of its own, stopped at the end."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "s3cret/with@signs"
URL_PASSWORD = "s3cret%2Fwith%40signs"


class Postgres:
    """A server that takes connections with `PASSWORD` only."""

    def __init__(self, port: int) -> None:
        self.port = port

    def url(self, password: str = URL_PASSWORD, database: str = "postgres") -> str:
        """The URL of a database."""
        return f"postgresql://tester:{password}@127.0.0.1:{self.port}/{database}"


def programs() -> Path | None:
    """The newest folder of PostgreSQL's programs on this machine."""
    found = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    return max(found, key=lambda path: float(path.parent.name), default=None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server, started for this process; tests that need it are skipped where it is not installed."""
    binaries = programs()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install 'mlops-assets[postgres]')")
    # Not in pytest's own folders: these are closed to the user that PostgreSQL runs as where we are root.
    home = Path(tempfile.mkdtemp(prefix="postgres-", dir=os.environ.get("PYTEST_DEBUG_TEMPROOT")))
    as_user: dict[str, Any] = {"cwd": "/"}
    if os.getuid() == 0:
        shutil.chown(home, "nobody")
        as_user |= {"user": "nobody", "extra_groups": []}
    try:
        yield from _served(binaries, home, as_user)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _served(binaries: Path, home: Path, as_user: dict[str, Any]) -> Iterator[Postgres]:
    password, data, port = home / "password", home / "data", _free_port()
    password.write_text(PASSWORD)
    password.chmod(0o644)
    options = [f"--pwfile={password}", "--username=tester", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"]
    command = [str(binaries / "initdb"), f"--pgdata={data}", *options]
    made = subprocess.run(command, capture_output=True, text=True, **as_user)
    assert made.returncode == 0, made.stdout + made.stderr
    settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "timezone=Asia/Tokyo"]
    command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port)]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [*command, *(part for each in settings for part in ("-c", each))], stdout=log, stderr=log, **as_user
        )
    try:
        _wait(server, port, home / "log")
        yield Postgres(port)
    finally:
        server.send_signal(signal.SIGQUIT)  # at once: nothing is to be kept
        server.wait(30)


def _wait(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    import psycopg

    for _ in range(300):
        try:
            psycopg.connect(f"host=127.0.0.1 port={port} user=tester dbname=postgres", password=PASSWORD).close()
            return
        except psycopg.OperationalError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.2)
    raise AssertionError(f"PostgreSQL does not answer: {log.read_text()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
