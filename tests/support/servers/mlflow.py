"""Real MLflow servers on loopback: with a login, with artifacts kept by the server, with a certificate of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

from support.servers.server import Server, running

USER, PASSWORD = "admin", "s3cret/with@signs"


class MlflowServer(Server):
    """A server of MLflow."""

    @property
    def url(self) -> str:
        """Its address."""
        return self.environment["MLFLOW_TRACKING_URI"]

    @property
    def client(self) -> dict[str, str]:
        """The variables that its clients set beside the address."""
        return {name: value for name, value in self.environment.items() if name != "MLFLOW_TRACKING_URI"}


def mlflow(
    folder: Path,
    *,
    artifacts: str | None = None,
    proxied: bool = True,
    auth: bool = False,
    tls: bool = False,
    database: str | None = None,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
) -> MlflowServer:
    """Return a server that is not started yet.

    `artifacts` is where they lie, by default a folder of the server. If they are `proxied`, clients get them from the
    server, else from there themselves. `database` is SQLite in `folder` by default. `environment` holds what the
    server needs beside, such as the keys of S3.
    """
    options = [*(["--artifacts", artifacts] if artifacts else []), *([] if proxied else ["--direct"])]
    options += [*(["--login"] if auth else []), *(["--tls"] if tls else [])]
    own = dict(environment or {})
    if auth:
        own |= {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    if database:
        own["MLFLOW_BACKEND_STORE_URI"] = database
    return MlflowServer("mlflow", folder, *options, answers=_healthy, environment=own, port=port)


@contextmanager
def mlflow_server(folder: Path, **options: object) -> Iterator[MlflowServer]:
    """Serve MLflow from `folder` until the context ends; the options are those of `mlflow`."""
    server = mlflow(folder, **options)  # type: ignore[arg-type]
    with running(server):
        yield server


def _healthy(server: Server) -> bool:
    verify = server.environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH", True)
    try:
        return requests.get(f"{server.environment['MLFLOW_TRACKING_URI']}/health", timeout=1, verify=verify).ok
    except requests.RequestException:
        return False
