"""deploy/compose.yaml: what it names is there, and what it starts carries a batch file through to a champion."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from pyarrow import fs

from support.postgres import Postgres
from support.servers.composed import COMPOSE, Composed
from support.servers.server import REPOSITORY, folder_of
from support.servers.stores import s3_files

DEPLOY = REPOSITORY / "deploy"
DEFINITIONS = """
import os

import dagster as dg

from mlops_assets import Folder, ModelPipeline
from mlops_assets.sensors import alerts_sensor, new_data_sensor, registry_watch_sensor, retraining_sensor
from resources import resources

model = ModelPipeline(
    name="rentals",
    source=Folder(os.environ["LANDING"] + "/*.csv", marker=True),
    time="day", key=["id"], target="y", holdout=1, metrics=["rmse"],
    estimator="sklearn.linear_model.Ridge",
)
sensors = [new_data_sensor, retraining_sensor, registry_watch_sensor, alerts_sensor]
defs = dg.Definitions.merge(
    model.build_defs(),
    dg.Definitions(
        resources=resources,
        sensors=[sensor(minimum_interval_seconds=3) for sensor in sensors],
        executor=dg.in_process_executor,
    ),
)
"""
RUNS = "{runsOrError{...on Runs{results{runId status jobName}}}}"
MADE = "query($key:[String!]!){assetOrError(assetKey:{path:$key}){...on Asset{assetMaterializations{partition}}}}"
CAPTURED = "query($run:ID!){logsForRun(runId:$run){...on EventConnection{events{...on LogsCapturedEvent{fileKey}}}}}"
LOGS = "query($key:[String!]!){capturedLogs(logKey:$key){stderr}}"
PATIENCE = 300.0


def test_each_name_in_the_file_is_one_that_is_read() -> None:
    """A misspelt variable would be silently without effect."""
    code = "".join(path.read_text() for path in [*REPOSITORY.glob("resources/*.py"), *DEPLOY.rglob("*.py")])
    ours = "".join(path.read_text() for path in (REPOSITORY / "mlops_assets").rglob("*.py"))
    settings = "".join(path.read_text() for path in DEPLOY.glob("*.yaml") if path.name != "compose.yaml")
    libraries = {"AWS_DEFAULT_REGION", "MLFLOW_TRACKING_URI", "POSTGRES_USER", "POSTGRES_DB"}
    for name, service in COMPOSE["services"].items():
        for variable in service.get("environment", {}):
            assert variable in code + ours + settings or variable in libraries, f"{name}: {variable}"


def test_each_secret_is_in_the_example_and_none_has_a_value() -> None:
    wanted = set(re.findall(r"\$\{(\w+):\?\}", (DEPLOY / "compose.yaml").read_text()))
    lines = (DEPLOY / ".env.example").read_text().splitlines()
    assert {line for line in lines if not line.startswith("#")} == {f"{name}=" for name in wanted}
    assert "/deploy/.env" in (REPOSITORY / ".gitignore").read_text().splitlines()


def test_services_wait_for_services_that_exist_and_are_open_to_this_machine_only() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        for needed in service.get("depends_on", []):
            assert needed in services
            condition = service["depends_on"][needed]["condition"] if isinstance(service["depends_on"], dict) else ""
            assert condition != "service_healthy" or "healthcheck" in services[needed], f"{name} waits for {needed}"
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).exists(), volume


def test_the_image_copies_what_exists_and_installs_what_the_settings_name() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert all((REPOSITORY / path).exists() for path in copied)
    assert {"mlops_assets", "definitions.py", "defs", "resources", "sensors", "deploy"} <= set(copied)


def test_the_instance_differs_from_the_one_of_a_laptop_in_its_stores_and_where_runs_start_only() -> None:
    laptop, servers = (yaml.safe_load((folder / "dagster.yaml").read_text()) for folder in (REPOSITORY, DEPLOY))
    laptop.pop("run_launcher")  # a code server in a container starts its runs itself
    assert laptop.pop("storage").keys() == {"custom"} and servers.pop("storage").keys() == {"postgres"}
    assert {name: servers[name] for name in laptop} == laptop
    assert servers.keys() - laptop.keys() == {"compute_logs"}


@pytest.fixture
def composed(postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Composed]:
    (tmp_path / "landing").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "project/definitions.py").write_text(DEFINITIONS)
    monkeypatch.setenv("LANDING", str(tmp_path / "landing"))
    with folder_of("compose") as folder, Composed(folder, tmp_path / "project", postgres) as started:
        yield started


def land(folder: Path, month: int) -> None:
    """A file of a month, and the marker that says that it is whole."""
    random = np.random.default_rng(month)
    days = pd.date_range(f"2024-{month:02d}-01", periods=28).repeat(4)
    x = random.normal(size=len(days))
    rows = {"id": range(month * 1000, month * 1000 + len(days)), "day": days, "x": x}
    path = folder / f"2024-{month:02d}.csv"
    pd.DataFrame(rows).assign(y=3 * x + random.normal(0, 0.1, len(days))).to_csv(path, index=False)
    path.with_name(path.name + ".done").touch()


@pytest.mark.slow
def test_a_batch_file_becomes_a_champion_and_the_next_is_scored_on_servers(composed: Composed, tmp_path: Path) -> None:
    for month in (1, 2, 3):
        land(tmp_path / "landing", month)
    wait_until(composed, lambda: made(composed, "champion") != [], "a champion")
    land(tmp_path / "landing", 4)
    wait_until(composed, lambda: "2024-04" in made(composed, "predictions"), "predictions for a batch that came later")

    ended = [run for run in runs(composed) if run["status"] in ("SUCCESS", "FAILURE", "CANCELED")]
    assert {run["status"] for run in ended} == {"SUCCESS"}, composed.services["code"].said[-5_000:]
    assert "STEP_START" in compute_log(composed, ended[-1]["runId"])  # which the webserver has from S3
    files = s3_files(composed.environment("code")).get_file_info(fs.FileSelector("mlops", recursive=False))
    assert {"storage", "mlflow", "compute-logs"} <= {file.base_name for file in files}
    kept = [path for path in (composed.folder / "code").rglob("*") if path.is_file()]
    assert [path for path in kept if "models" not in path.parts] == []  # but copies, which are verified at each read
    assert [finding for finding in doctor(composed) if finding["severity"] == "fault"] == []


def wait_until(composed: Composed, holds: Callable[[], bool], what: str) -> None:
    """Look once a second, as long as all services run."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        for name, service in composed.services.items():
            assert service.runs, f"{name} ended: {service.said[-5_000:]}"
        assert time.monotonic() < deadline, f"still not: {what}; {runs(composed)}"
        time.sleep(1)


def runs(composed: Composed) -> list[dict[str, Any]]:
    """All runs, the newest first."""
    results: list[dict[str, Any]] = composed.asked(RUNS)["runsOrError"]["results"]
    return results


def made(composed: Composed, kind: str) -> list[str | None]:
    """The batches of which an asset of the model was materialised."""
    asset = composed.asked(MADE, key=["rentals", kind])["assetOrError"]
    return [event["partition"] for event in asset.get("assetMaterializations", [])]


def compute_log(composed: Composed, run: str) -> str:
    """What a run printed."""
    events = composed.asked(CAPTURED, run=run)["logsForRun"]["events"]
    (key,) = [event["fileKey"] for event in events if event]
    said: str = composed.asked(LOGS, key=[run, "compute_logs", key])["capturedLogs"]["stderr"] or ""
    return said


def doctor(composed: Composed) -> list[dict[str, str]]:
    """The findings of `mlops-assets doctor` beside the code."""
    command = [Path(sys.executable).with_name("mlops-assets"), "doctor", "--json", "-m", "definitions"]
    asked = {"cwd": composed.project, "env": {**os.environ, **composed.environment("code")}}
    said = subprocess.run(command, capture_output=True, text=True, **asked)
    findings: list[dict[str, str]] = json.loads(said.stdout)["findings"]
    return findings
