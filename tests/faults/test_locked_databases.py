"""Another process holds the lock of a database: steps end with the reason, the champion stays, the next run goes on."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from locks import locked

from mlops_assets.assets.shared.keys import asset_key
from support.deployment import DeployedModel, Deployment, plain, why
from support.synthetic import rows

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
SECONDS = 90.0
"""How long the lock is held unless the run ends before: longer than the 25 s of the row, and than a run waits."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory, mlflow_schema) -> Deployment:
    """A deployment of this module: locks are felt by everything in it."""
    home = tmp_path_factory.mktemp("locked")
    (home / "mlflow.db").write_bytes(mlflow_schema.read_bytes())
    return Deployment(home)


@pytest.fixture
def model(alone, name) -> DeployedModel:
    """A champion and a batch that came since."""
    made = alone.model(name)
    made.prepare(b1=rows(1), b2=rows(2))
    assert made.challenge(alpha=1e4).success and made.champion() == 1
    return made


@pytest.mark.fault(40)
@pytest.mark.parametrize("what", ["training", "promotion"])
def test_mlflow_db_locked_ends_the_run_with_the_reason_and_the_next_one_goes_on(what, model, alone):
    runs = {
        "training": lambda: model.challenge(alpha=0.1),
        "promotion": lambda: model.materialize("champion", version=2),
    }
    if what == "promotion":
        assert model.materialize("challenger", "training_set", params={"alpha": 0.1}).success
    before = model.registry.champion(model.name)
    with locked(alone.home / "mlflow.db", SECONDS) as holder:
        result = runs[what]()
        assert holder.poll() is None, "the run waited for the lock"
    assert "database is locked" in why(result) and "MLflow at sqlite:///" in why(result)
    assert model.registry.champion(model.name) == before
    assert runs[what]().success
    versions = model.registry.versions(model.name)
    assert (len(versions), model.champion()) == (2, 2)
    assert len({version.tags["declaration_version"] for version in versions}) == len(versions)


@pytest.mark.fault(40)
def test_a_sensor_returns_while_mlflow_db_is_locked_and_asks_afterwards(alone, name):
    from mlops_assets import Folder
    from support.sensed import Project, ridge

    folder = alone.home / "landing" / name
    folder.mkdir(parents=True)
    project = Project(alone, ridge(name, Folder(str(folder / "*.csv"), marker=True)))
    for number in (1, 2):
        rows(number).to_csv(folder / f"b{number}.csv", index=False)
        (folder / f"b{number}.csv.done").touch()
    assert project.take_in() == ["b1", "b2"] and project.train().success
    rows(3).to_csv(folder / "b3.csv", index=False)
    (folder / "b3.csv.done").touch()
    with locked(alone.home / "mlflow.db", SECONDS) as holder:
        (request,) = project.tick()  # what is new is taken in, its validation needs no registry
        assert holder.poll() is None and request.partition_key == "b3"


@pytest.mark.fault(39)
@pytest.mark.parametrize("when", ["start_run", "set_champion"])
def test_runs_db_locked_for_8_s_leaves_one_version_of_the_training_promoted_once(when, tmp_path, mlflow_schema):
    (tmp_path / "mlflow.db").write_bytes(mlflow_schema.read_bytes())
    model = Deployment(tmp_path).model("ridge")
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge(alpha=1e4).success and model.champion() == 1
    paths = os.pathsep.join([str(HERE), str(HERE.parent), str(HERE.parents[1])])
    command = [sys.executable, str(HERE / "locked_training.py"), str(tmp_path), when]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=300)
    assert "locked" in done.stdout, done.stderr[-2_000:]
    assert model.champion() in (1, 2)
    for run in model.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        model.instance.report_run_failed(run)  # as Dagster's run monitoring does with a run that goes on for too long
        model.instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    result = model.challenge(alpha=0.1)
    assert result.success and model.champion() == 2
    assert len(model.registry.versions("ridge")) == 2
    promoted = [each for each in history_of(model) if each.get("version") == 2 and each.get("verdict") == "promote"]
    assert len(promoted) <= 1
    assert model.champion() == 2 and "moved outside" not in model.shown("champion")["reason"]
    assert {run.status for run in model.instance.get_runs()} <= {
        dg.DagsterRunStatus.SUCCESS,
        dg.DagsterRunStatus.FAILURE,
    }


def history_of(model: DeployedModel) -> list[dict[str, object]]:
    """What each materialisation of the champion shows."""
    records = model.instance.fetch_materializations(asset_key(model.name, "champion"), limit=50).records
    return [plain(record.asset_materialization.metadata) for record in records if record.asset_materialization]
