"""The code location of this repository, loaded as Dagster's servers load it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_workspace_loads_with_all_sensors_and_the_schedules_that_models_declare(tmp_path):
    dagster = Path(sys.executable).parent / "dagster"
    environment = {**os.environ, "MLOPS_ASSETS_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path)}

    def told(*command: str) -> str:
        options = {"cwd": REPOSITORY, "env": environment, "capture_output": True, "text": True, "check": False}
        done = subprocess.run([dagster, *command, "-w", "workspace.yaml"], **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    sensors = told("sensor", "list")
    wanted = ["new_data", "retraining", "registry_watch", "alerts"]
    assert [name for name in wanted if f"Sensor: {name} [RUNNING]" in sensors] == wanted
    schedules = told("schedule", "list")
    assert "Schedule: retraining_0_3_1_x_x_UTC [RUNNING]" in schedules and "0 3 1 * *" in schedules
