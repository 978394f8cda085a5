"""A real PostgreSQL on loopback for tests: a service of deploy/services, started once for each process of tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.services.postgres import USER
from support.servers.server import Server, folder_of, running

PASSWORD = "s3cret/with@signs"
URL_PASSWORD = "s3cret%2Fwith%40signs"


class Postgres(Server):
    """A server that takes connections with `PASSWORD` only. It has databases for Dagster, MLflow and our records."""

    def url(self, password: str = URL_PASSWORD, database: str = "postgres") -> str:
        """The URL of a database."""
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"


def postgres_server(folder: Path, *options: str, port: int | None = None) -> Postgres:
    """Return PostgreSQL that is not started yet; its folder is one that `nobody` may enter."""
    settings = ["--set", "fsync=off", "--set", "timezone=Asia/Tokyo", *options]
    secret = {"POSTGRES_PASSWORD": PASSWORD}
    return Postgres("postgres", folder, *settings, answers=_takes_connections, environment=secret, port=port)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The server, started for this process; tests that need it are skipped where it is not installed."""
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install 'mlops-assets[postgres]')")
    with folder_of("postgres") as folder:
        server = postgres_server(folder)
        with running(server):
            yield server


def _takes_connections(server: Server) -> bool:
    import psycopg

    address = f"host=127.0.0.1 port={server.port} user={USER} dbname=postgres connect_timeout=2"
    try:
        psycopg.connect(address, password=PASSWORD).close()
    except psycopg.OperationalError:
        return False
    return True
