"""A store of the lowest MLflow that is supported, opened by the newest, and then by the lowest again.

`nox` gives the two environments. By hand, MLOPS_LOWEST_PYTHON is the Python of an environment with an older MLflow.
"""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
LOWEST = os.environ.get("MLOPS_LOWEST_PYTHON", "")

CODE = """
import json, sys
from importlib.metadata import version
from mlops_assets.errors import RegistryError
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.schema_revisions import newest_revision

home, run_id = sys.argv[1:]
registry = MlflowRegistry(tracking_uri=f"sqlite:///{home}/mlflow.db", artifact_root=f"{home}/artifacts")
said = {"version": version("mlflow"), "writes": newest_revision("mlflow"), "refused": ""}
try:
    if not run_id:
        run_id = registry.start_run("kept", "train", {})
        registry.log(run_id, metrics={"rmse": 0.5})
    said |= {"run": run_id, "metrics": registry.metrics(run_id)}
except RegistryError as error:
    said["refused"] = str(error)
print(json.dumps(said))
"""


def asked(python: str, home: Path, run_id: str = "") -> dict:
    """What an environment says of a run in the store; without a run it makes one."""
    own = {**os.environ, "PYTHONPATH": str(REPOSITORY), "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [python, "-c", CODE, str(home), run_id]
    done = subprocess.run(command, capture_output=True, text=True, env=own, cwd=home)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout.splitlines()[-1]), "stderr": done.stderr}


@pytest.mark.skipif(not LOWEST, reason="no environment with an older MLflow: run by nox")
def test_a_store_goes_to_the_newest_version_and_back_only_by_its_copy(tmp_path):
    made = asked(LOWEST, tmp_path)
    lowest, newest = made["version"], version("mlflow")
    assert lowest != newest
    read = asked(sys.executable, tmp_path, made["run"])
    copy = tmp_path / f"mlflow.db.before-{newest}"
    assert read["metrics"] == made["metrics"] == {"rmse": 0.5} and read["writes"] != made["writes"]
    assert f"Kept from before: {copy}" in read["stderr"] and copy.is_file()
    back = asked(LOWEST, tmp_path, made["run"])
    for part in (f"MLflow {newest} has migrated", read["writes"], f"which MLflow {lowest}", str(copy)):
        assert part in back["refused"]
    shutil.copy(copy, tmp_path / "mlflow.db")
    assert asked(LOWEST, tmp_path, made["run"])["metrics"] == {"rmse": 0.5}
