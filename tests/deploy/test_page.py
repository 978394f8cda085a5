"""docs/how-to/servers.md: its make targets, in the order of the page, give a deployment without a fault."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from deploy.services.postgres import programs
from support.pages import blocks
from support.relay import free_port
from support.servers.process import Process, running
from support.servers.server import REPOSITORY, folder_of

pytestmark = pytest.mark.slow
PORTS = {
    "postgres": "POSTGRES_PORT",
    "s3": "S3_PORT",
    "mlflow-server": "MLFLOW_PORT",
    "code-server": "CODE_SERVER_PORT",
    "webserver": "DAGSTER_PORT",
}
STATE = (
    "{workspaceOrError{...on Workspace{locationEntries{loadStatus locationOrLoadError{__typename}}}}"
    "instance{daemonHealth{allDaemonStatuses{required healthy}}}}"
)
COMMANDS = [block.text.strip() for block in blocks("how-to/servers.md") if block.language == "bash"]


@pytest.fixture
def services() -> Iterator[dict[str, str]]:
    """The environment of a shell in which all targets of the page were started, on ports of their own."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with folder_of("page") as home, ExitStack() as stack:
        ports = {variable: str(free_port()) for variable in PORTS.values()}
        binaries = Path(sys.executable).parent
        environment = {"MLOPS_ASSETS_HOME": str(home), **ports, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
        for command in COMMANDS:
            if command == "make bucket":
                subprocess.run(shell(command), cwd=REPOSITORY, env={**os.environ, **environment}, check=True)
            elif command.startswith("make "):
                target = command.split()[1]
                port = int(ports[PORTS[target]]) if target in PORTS else None
                log = home / f"{target}.log"
                stack.enter_context(
                    running(Process(shell(command), log, folder=REPOSITORY, environment=environment, port=port))
                )
        yield environment


def shell(command: str) -> list[str]:
    """Return a command of the page as bash runs it; make takes this Python, which is installed already."""
    ours = f"make --assume-old=.venv/.installed BIN='{Path(sys.executable).parent}' "
    return ["bash", "-euo", "pipefail", "-c", re.sub(r"^make ", ours, command)]


def test_the_targets_of_the_page_give_a_deployment_without_a_fault(services: dict[str, str]) -> None:
    deadline = time.monotonic() + 180
    while not settled(state := asked(services["DAGSTER_PORT"])):
        assert time.monotonic() < deadline, state
        time.sleep(1)
    [entry] = state["workspaceOrError"]["locationEntries"]
    assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation", entry

    findings = doctor(services)
    while any(finding["severity"] == "fault" for finding in findings):
        assert time.monotonic() < deadline, findings  # a machine that is busy starting answers late
        findings = doctor(services)
    database = next(finding for finding in findings if finding["name"] == "stores of Dagster")
    assert "takes notifications by psycopg2" in database["found"]


def asked(port: str) -> dict[str, Any]:
    """What the webserver says of its code locations and daemons."""
    answer = requests.post(f"http://127.0.0.1:{port}/graphql", json={"query": STATE}, timeout=30).json()
    state: dict[str, Any] = answer["data"]
    return state


def doctor(services: dict[str, str]) -> list[dict[str, str]]:
    """The findings of the page's last command."""
    [command] = [command for command in COMMANDS if command.startswith("deploy/with_services")]
    asked = {"cwd": REPOSITORY, "env": {**os.environ, **services}, "stdout": subprocess.PIPE, "text": True}
    said = subprocess.run(shell(f"{command} --json"), check=False, **asked)
    findings: list[dict[str, str]] = json.loads(said.stdout)["findings"]
    return findings


def settled(state: dict[str, Any]) -> bool:
    """Whether the code location was loaded, and all daemons that are required live."""
    entries = state["workspaceOrError"]["locationEntries"]
    daemons = state["instance"]["daemonHealth"]["allDaemonStatuses"]
    alive = all(daemon["healthy"] for daemon in daemons if daemon["required"])
    return alive and all(entry["loadStatus"] == "LOADED" for entry in entries)


def test_the_values_of_the_chart_are_yaml_and_name_what_the_page_and_the_settings_name() -> None:
    import yaml

    [block] = [block for block in blocks("how-to/servers.md") if block.language == "yaml"]
    values = yaml.safe_load(block.text)
    settings = yaml.safe_load((REPOSITORY / "deploy/dagster.yaml").read_text())
    monitoring = values["dagsterDaemon"]["runMonitoring"]
    assert monitoring["maxRuntimeSeconds"] == settings["run_monitoring"]["max_runtime_seconds"]
    assert monitoring["freeSlotsAfterRunEndSeconds"] == settings["run_monitoring"]["free_slots_after_run_end_seconds"]
    assert values["postgresql"]["postgresqlScheme"] == "postgresql+psycopg2"
