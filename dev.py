"""`make dev`: Dagster's UI and daemon and MLflow's UI on loopback, ended together by Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from resources import HOME

HOST = "127.0.0.1"  # neither server asks who you are, so neither listens to the network
DAGSTER_PORT = os.environ.get("DAGSTER_PORT", "3000")
MLFLOW_PORT = os.environ.get("MLFLOW_PORT", "5000")
BIN = Path(sys.executable).parent

COMMANDS = {
    "Dagster": [BIN / "dagster", "dev", "-w", "workspace.yaml", "-h", HOST, "-p", DAGSTER_PORT],
    "MLflow": [
        *(BIN / "mlflow", "server", "--host", HOST, "--port", MLFLOW_PORT, "--workers", "1"),
        *(
            "--backend-store-uri",
            f"sqlite:///{HOME / 'mlflow.db'}",
            "--default-artifact-root",
            str(HOME / "mlartifacts"),
        ),
    ],
}


def main() -> int:
    """Start both, wait until one ends or a signal comes, end both."""
    HOME.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    log = (HOME / "mlflow.log").open("ab")
    outputs = {"Dagster": None, "MLflow": log}
    servers = [
        subprocess.Popen(list(map(str, command)), stdout=outputs[name], stderr=outputs[name], start_new_session=True)
        for name, command in COMMANDS.items()
    ]
    print(f"Dagster: http://{HOST}:{DAGSTER_PORT}   MLflow: http://{HOST}:{MLFLOW_PORT}   Ctrl-C ends both", flush=True)
    try:
        while all(server.poll() is None for server in servers):
            time.sleep(0.5)
    except KeyboardInterrupt:
        pass
    finally:
        end(servers)
    return 0


def end(servers: "list[subprocess.Popen[bytes]]") -> None:
    """Ask each server and its children to end, then make them."""
    for number, patience in ((signal.SIGINT, 15.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        for server in servers:
            try:
                os.killpg(server.pid, number)
            except ProcessLookupError:
                continue
        while time.monotonic() < deadline and any(server.poll() is None for server in servers):
            time.sleep(0.1)


if __name__ == "__main__":
    sys.exit(main())
