"""Real MLflow servers on loopback: with a login, with artifacts kept by the server, with a certificate of its own."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from support.relay import free_port

USER, PASSWORD = "admin", "s3cret/with@signs"
PROGRAM = Path(sys.executable).with_name("mlflow")


@dataclass(frozen=True)
class MlflowServer:
    """A server that answers: its address, and the environment that its clients need."""

    url: str
    log: Path
    client: Mapping[str, str] = field(default_factory=dict)


@contextmanager
def mlflow_server(
    folder: Path,
    *,
    artifacts: str | None = None,
    proxied: bool = True,
    auth: bool = False,
    tls: bool = False,
    database: str | None = None,
    environment: Mapping[str, str] | None = None,
    port: int | None = None,
) -> Iterator[MlflowServer]:
    """Serve MLflow from `folder` until the context ends.

    `artifacts` is where they lie, by default a folder of the server. If they are `proxied`, clients get them from the
    server, else from there themselves. `database` is SQLite in `folder` by default. `environment` holds what the
    server needs beside, such as the keys of S3.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, kept = port or free_port(), artifacts or str(folder / "kept")
    client: dict[str, str] = {}
    command = [str(PROGRAM), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", database or f"sqlite:///{folder / 'server.db'}"]
    command += (
        ["--serve-artifacts", "--artifacts-destination", kept]
        if proxied
        else ["--no-serve-artifacts", "--default-artifact-root", kept]
    )
    own = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **(environment or {})}
    if auth:
        command += ["--app-name", "basic-auth"]
        own |= _login(folder)
        client |= {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    if tls:
        key, certificate = own_certificate(folder)
        command += ["--uvicorn-opts", f"--ssl-keyfile {key} --ssl-certfile {certificate}"]
        client["MLFLOW_TRACKING_SERVER_CERT_PATH"] = str(certificate)
    url, log = f"{'https' if tls else 'http'}://127.0.0.1:{port}", folder / "mlflow.log"
    with log.open("ab") as output:
        server = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **own}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        _wait(server, url, log, client.get("MLFLOW_TRACKING_SERVER_CERT_PATH", True))
        yield MlflowServer(url, log, client)
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # its workers too; nothing is to be kept
        server.wait(30)


def own_certificate(folder: Path) -> tuple[Path, Path]:
    """Return the files of a new key and of its certificate for 127.0.0.1, which no authority signed."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    program = shutil.which("openssl")
    assert program is not None, "openssl is not installed"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    return key, certificate


def _login(folder: Path) -> dict[str, str]:
    """Return the environment of a server that asks for `USER` and `PASSWORD`."""
    settings = folder / "basic_auth.ini"
    settings.write_text(
        f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{folder / 'users.db'}\n"
        f"admin_username = {USER}\nadmin_password = {PASSWORD}\n"
        "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    return {"MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(16)}


def _wait(server: "subprocess.Popen[bytes]", url: str, log: Path, verify: str | bool) -> None:
    for _ in range(600):
        assert server.poll() is None, log.read_text()
        try:
            if requests.get(f"{url}/health", timeout=1, verify=verify).status_code == 200:
                return
        except requests.RequestException:
            time.sleep(0.1)
    raise AssertionError(f"MLflow does not answer: {log.read_text()}")
