"""`mlops-assets reproduce` in processes of its own, on a code location whose files change between them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from mlops_assets.cli.main import app

REPOSITORY = Path(__file__).parents[2]
EXECUTABLE = Path(sys.executable).with_name("mlops-assets")

DEFINITIONS = """
from pathlib import Path

import dagster as dg
from bike_features import lagged

from mlops_assets import Folder, ModelPipeline
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.records.frames import BatchFiles
from mlops_assets.resources.storage import Storage

HERE = Path(__file__).parent
bike = ModelPipeline(
    name="bike",
    source=Folder(str(HERE / "landing" / "*.csv")),
    time="day",
    target="y",
    features=lagged,
    estimator="sklearn.ensemble.RandomForestRegressor",
    params={"n_estimators": 5},
    holdout=1,
    metrics=["rmse"],
    seed=SEED,
)
defs = dg.Definitions.merge(
    bike.build_defs(),
    dg.Definitions(
        resources={
            "mlops_storage": Storage(root=str(HERE / "storage")),
            "mlops_batches": BatchFiles(root=str(HERE / "storage")),
            "mlflow_registry": MlflowRegistry(
                tracking_uri=f"sqlite:///{HERE / 'mlflow.db'}", artifact_root=str(HERE / "artifacts")
            ),
            "great_expectations": GreatExpectations(),
        }
    ),
)
"""
FEATURES = """
def smoothed(x):
    return x.rolling(2, min_periods=1).mean()


def lagged(batch, history):
    print("a function of the user's that prints")
    return batch[["x", "z"]].assign(smooth=smoothed(batch["x"]))
"""
TRAINING = """
import dagster as dg
from definitions import defs

with dg.DagsterInstance.get() as instance:
    instance.add_dynamic_partitions("bike_batches", ["b1", "b2", "b3"])
    assets = [dg.AssetKey(["bike", kind]) for kind in ("dataset", "features")]
    for batch in ("b1", "b2", "b3"):
        job = defs.resolve_job_def("bike_batch")
        job.execute_in_process(instance=instance, partition_key=batch, asset_selection=assets)
    assets = [dg.AssetKey(["bike", kind]) for kind in ("training_set", "challenger", "champion")]
    defs.resolve_job_def("bike_training").execute_in_process(instance=instance, asset_selection=assets)
"""


class Project:
    """A code location in a folder of its own, and what its commands say."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.write(FEATURES, seed=0)
        (home / "dagster").mkdir()
        (home / "dagster" / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text())
        (home / "landing").mkdir()
        for number in (1, 2, 3):
            self.land(number)
        (home / "training.py").write_text(TRAINING)
        training = self._run([sys.executable, "training.py"])
        assert training.returncode == 0, training.stderr[-3000:]

    def write(self, features: str, seed: int) -> None:
        (self.home / "bike_features.py").write_text(features)
        (self.home / "definitions.py").write_text(DEFINITIONS.replace("SEED", str(seed)))

    def land(self, number: int, factor: float = 1.0) -> None:
        day = pd.date_range(f"2024-01-0{number}", periods=60, freq="min")
        random = np.random.default_rng(number)
        x, z, noise = random.normal(size=(3, 60))
        frame = pd.DataFrame({"day": day, "x": x, "z": z, "y": factor * (3 * x + noise)})
        frame.to_csv(self.home / "landing" / f"b{number}.csv", index=False)

    def reproduce(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run([str(EXECUTABLE), "reproduce", *arguments])

    def told(self, *arguments: str) -> tuple[int, dict]:
        done = self.reproduce(*arguments, "--json")
        return done.returncode, json.loads(done.stdout)

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "DAGSTER_HOME": str(self.home / "dagster"), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(command, cwd=self.home, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("bike"))


@pytest.fixture
def project(trained: Project) -> Project:
    """As it was when it was trained, whatever a test changed before."""
    trained.write(FEATURES, seed=0)
    trained.land(2)
    return trained


@pytest.mark.slow
def test_champion_is_identical(project):
    code, told = project.told("bike@champion")
    assert (code, told["model"], told["version"], told["verdict"]) == (0, "bike", 1, "identical")
    assert told["predictions"]["training rows"] == {
        "rows": 120,
        "verdict": "identical",
        "identical": True,
        "max_difference": 0.0,
        "relative_difference": 0.0,
        "spread": told["predictions"]["training rows"]["spread"],
    }
    assert told["predictions"]["holdout"]["rows"] == 60
    assert (told["differences"], told["notes"], told["because"]) == ([], [], [])
    assert told["fitted_with"]["n_estimators"] == "5"


@pytest.mark.slow
def test_person_reads_the_verdict_the_figures_and_what_it_was_fitted_with(project):
    done = project.reproduce("bike@latest")
    assert done.returncode == 0
    assert "bike version 1: identical on 120 training rows and 60 holdout rows, bit for bit" in done.stdout
    assert "Everything on record is the same now." in done.stdout
    assert "seed 0, n_estimators 5" in done.stdout
    assert "a function of the user's that prints" in done.stderr and "that prints" not in done.stdout


@pytest.mark.slow
def test_changed_code_is_named_in_a_fresh_process(project):
    project.write(FEATURES.replace("rolling(2", "rolling(4"), seed=0)
    code, told = project.told("bike@1")
    assert (code, told["verdict"], told["because"]) == (1, "differs", ["code"])
    assert told["differences"][0] == {
        "kind": "code",
        "what": "features: bike_features.smoothed",
        "then": "",
        "now": "",
        "note": "changed since",
        "enters": "features",
    }
    assert told["predictions"]["holdout"]["identical"] is True
    assert told["predictions_of_features_computed_anew"]["holdout"]["identical"] is False
    assert told["reason"].startswith("differs because of code: features: bike_features.smoothed (changed since)")


@pytest.mark.slow
def test_changed_data_file_is_named(project):
    project.land(2, factor=2.0)
    code, told = project.told("bike@1")
    assert (code, told["verdict"]) == (0, "identical")
    (found,) = told["differences"]
    assert (found["kind"], found["what"], found["enters"]) == ("data", "batch b2: source", "nothing")
    assert found["then"] != found["now"]
    assert project.told("bike@1", "--no-check-source")[1]["differences"] == []


@pytest.mark.slow
def test_changed_stored_rows_are_why(project):
    (path,) = (project.home / "storage" / "bike" / "dataset" / "b1").glob("*.parquet")
    content = path.read_bytes()
    pd.read_parquet(path).eval("y = y * 2").to_parquet(path, index=False)
    try:
        code, told = project.told("bike@1")
    finally:
        path.write_bytes(content)
    assert (code, told["verdict"], told["because"]) == (1, "differs", ["data"])
    assert told["reason"].startswith("differs because of data: batch b1: dataset: ")
    assert str(path) in told["differences"][0]["note"]


@pytest.mark.slow
def test_changed_seed_is_listed_and_is_why_where_it_is_asked_for(project):
    project.write(FEATURES, seed=8)
    code, told = project.told("bike@1")
    assert (code, told["verdict"], told["fitted_with"]["seed"]) == (0, "identical", "0")
    assert [(found["kind"], found["then"], found["now"]) for found in told["differences"]] == [("seed", "0", "8")]
    code, told = project.told("bike@1", "--as-declared")
    assert (code, told["because"], told["fitted_with"]["seed"]) == (1, ["seed"], "8")


@pytest.mark.parametrize("asked", ["bike", "bike@newest", "bike@0", "@1", "bike@1.5", f"bike@{10**9}"])
def test_what_names_no_version_is_told_in_a_line(asked):
    done = CliRunner().invoke(app, ["reproduce", asked, "--json"])
    assert (done.exit_code, done.stdout) == (2, "")
    said = " ".join(done.stderr.split())
    assert (
        f"Error: '{asked}' does not name a version: expected MODEL@VERSION with a number, `champion` or `latest`"
        in said
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "said"),
    [("bike@7", "bike has no version 7 (it has 1)"), ("bikes@1", "there is no model 'bikes'; did you mean bike?")],
)
def test_version_or_model_that_is_not_there_is_told_in_a_line(project, asked, said):
    done = project.reproduce(asked, "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr and "Traceback" not in done.stderr
