"""`make dev`: Dagster's UI and daemon and MLflow's UI on loopback, ended together by Ctrl-C."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from resources import HOME, resources

HOST = "127.0.0.1"  # neither server asks who you are, so neither listens to the network
DAGSTER_PORT = os.environ.get("DAGSTER_PORT", "3000")
MLFLOW_PORT = os.environ.get("MLFLOW_PORT", "5000")
MLFLOW_UI = f"http://{HOST}:{MLFLOW_PORT}"
BIN = Path(sys.executable).parent

COMMANDS = {
    "Dagster": [BIN / "dagster", "dev", "-w", "workspace.yaml", "-h", HOST, "-p", DAGSTER_PORT],
    "MLflow": [
        *(BIN / "mlflow", "server", "--host", HOST, "--port", MLFLOW_PORT, "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{HOME / 'mlflow.db'}"),
        *("--default-artifact-root", str(HOME / "mlartifacts")),
    ],
}


def main() -> int:
    """Start both, wait until one ends by itself or a signal comes, end both."""
    HOME.mkdir(parents=True, exist_ok=True)
    for number in (signal.SIGINT, signal.SIGTERM):  # set explicitly: a shell may have told us to ignore Ctrl-C
        signal.signal(number, lambda *_: sys.exit(0))
    servers: dict[str, subprocess.Popen[bytes]] = {}
    end_orphans()
    if "MLFLOW_TRACKING_URI" not in os.environ:
        resources["mlflow_registry"].prepare()  # before the server and the first runs all try to
    try:
        for name, command in COMMANDS.items():
            servers[name] = start(command, HOME / "mlflow.log" if name == "MLflow" else None)
        print(f"Dagster: http://{HOST}:{DAGSTER_PORT}   MLflow: {MLFLOW_UI}   Ctrl-C ends both", flush=True)
        while all(server.poll() is None for server in servers.values()):
            time.sleep(0.5)
        for name, server in servers.items():
            if server.poll() is not None:
                print(f"{name} ended by itself (exit code {server.returncode}): is its port free? Log: {HOME}")
        return 1
    finally:
        end(list(servers.values()))


def end_orphans() -> None:
    """Fail the runs whose process is gone, or went with its code server: the sensors ask for them again.

    Of a code server Dagster itself finds out by `max_runtime_seconds` only, which is hours away.
    """
    import dagster as dg

    from mlops_assets.launcher.run_launcher import process_of

    begun = [dg.DagsterRunStatus[name] for name in ("STARTING", "STARTED", "CANCELING")]
    with dg.DagsterInstance.get() as instance:
        for run in instance.get_runs(dg.RunsFilter(statuses=begun)):
            server, process = json.loads(run.tags.get(".dagster/grpc_info", "{}")), process_of(run)
            if process.is_here and not process.is_alive if process else server and not answers(server):
                instance.report_run_failed(run, message="Its process is gone, by itself or with its code server.")
                instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def answers(server: dict[str, Any]) -> bool:
    """Whether a code server listens at {socket} or {host, port}."""
    with socket.socket(socket.AF_UNIX if server.get("socket") else socket.AF_INET) as knock:
        knock.settimeout(2)
        return knock.connect_ex(server.get("socket") or (server["host"], server["port"])) == 0


def start(command: list[object], log: Path | None) -> "subprocess.Popen[bytes]":
    """A server as the leader of a process group of its own, so that it can be ended with all its children."""
    environment = {
        "MLOPS_ASSETS_MLFLOW_UI": MLFLOW_UI,  # where links of this session's runs lead to
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes for what nothing here uses
        **os.environ,
    }
    output = log.open("ab") if log else None
    return subprocess.Popen(
        [str(part) for part in command], stdout=output, stderr=output, env=environment, start_new_session=True
    )


def end(servers: "list[subprocess.Popen[bytes]]") -> None:
    """Ask each server to end with its children, then make them."""
    for number in (signal.SIGINT, signal.SIGTERM):  # another Ctrl-C must not leave some of them behind
        signal.signal(number, signal.SIG_IGN)
    for number, patience in ((signal.SIGINT, 10.0), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        running = [server for server in servers if has_processes(server)]
        for server in running:
            os.killpg(server.pid, number)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline and any(has_processes(server) for server in running):
            time.sleep(0.1)


def has_processes(server: "subprocess.Popen[bytes]") -> bool:
    """Whether any process of the server's group is left."""
    server.poll()  # else it would stay in its group as a zombie
    try:
        os.killpg(server.pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
