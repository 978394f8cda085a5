"""The wheel in somebody's project: two models in YAML, one in Python, beside that project's own `resources`."""

from pathlib import Path

import pytest

from mlops_assets.resources.mlflow.registry import MlflowRegistry
from support.clean_project import CleanProject, months_of_rentals, stop, wait_until

pytestmark = pytest.mark.slow

OWN_RESOURCES = """
import dagster as dg


class Prices(dg.ConfigurableResource):
    euro: float
"""
OWN_ASSET = """
import dagster as dg

from resources import Prices


@dg.asset
def price(context, prices: Prices):
    context.log.info(f"a ride costs {prices.euro} euro")


@dg.definitions
def defs():
    return dg.Definitions(assets=[price], resources={"prices": Prices(euro=3.5)})
"""
FEATURES = '''
def warmth(batch, history):
    """The features of a row, as a function that YAML names."""
    return batch[["workday"]].assign(warm=batch["temperature"] > 12)
'''
DEPLOYMENT = "type: mlops_assets.Deployment\n"
SETTINGS = """
telemetry: {enabled: false}
concurrency:
  pools: {default_limit: 1}
  runs: {max_concurrent_runs: 2}
"""
BIKES = """
type: mlops_assets.ModelPipeline
attributes:
  name: bikes
  source: {folder: data/rentals.csv, period: month}
  time: hour
  key: [hour]
  target: rentals
  estimator: sklearn.linear_model.Ridge
  metrics: [rmse, mae]
  holdout: 1
"""
BUSY = """
type: mlops_assets.ModelPipeline
attributes:
  name: busy
  source: data/busy/*.csv
  time: hour
  key: [hour]
  target: busy
  drop: [rentals]
  features: shop.features:warmth
  estimator: sklearn.linear_model.LogisticRegression
  metrics: [log_loss]
  holdout: 1
"""
RIDES = """
import dagster as dg

from mlops_assets import Folder, ModelPipeline


@dg.definitions
def rides():
    return ModelPipeline(
        name="rides",
        source=Folder("data/rentals.csv", period="month"),
        time="hour",
        key=["hour"],
        target="rentals",
        estimator="sklearn.ensemble.HistGradientBoostingRegressor",
        params={"max_iter": 30},
        holdout=1,
    ).build_defs()
"""
MODELS = ("bikes", "busy", "rides")


@pytest.fixture(scope="module")
def project(folder: Path, wheel: Path) -> CleanProject:
    made = CleanProject(folder)
    made.write("src/resources/__init__.py", OWN_RESOURCES)
    made.write("src/shop/features.py", FEATURES)
    made.write("src/shop/defs/price.py", OWN_ASSET)
    made.write("src/shop/defs/rides.py", RIDES)
    made.write("src/shop/defs/bikes/defs.yaml", BIKES)
    made.write("src/shop/defs/mlops/defs.yaml", DEPLOYMENT)
    made.write("src/shop/defs/visits/busy/defs.yaml", BUSY)
    rows = months_of_rentals(2)
    made.write("data/rentals.csv", rows.to_csv(index=False))
    rows["busy"] = (rows["rentals"] > rows["rentals"].median()).astype(int)
    for month, of_month in rows.groupby(rows["hour"].dt.strftime("%Y-%m")):
        made.write(f"data/busy/{month}.csv", of_month.to_csv(index=False))
    made.install(wheel)
    made.environment["DAGSTER_HOME"] = str(made.home / "dagster")
    made.write("../home/dagster/dagster.yaml", SETTINGS)
    return made


def test_dg_lists_our_components(project):
    listed = project.run("dg", "list", "components")
    assert "mlops_assets.ModelPipeline" in listed and "mlops_assets.Deployment" in listed


def test_dg_accepts_the_files_and_the_definitions(project):
    assert "All component YAML validated successfully" in project.run("dg", "check", "yaml")
    assert "All definitions loaded successfully" in project.run("dg", "check", "defs")


def test_the_projects_own_package_of_the_same_name_stays_its_own(project):
    own = project.run("python", "-c", "import resources; print(resources.__file__)").strip()
    assert own == str(project.root / "src/resources/__init__.py")
    assert "a ride costs 3.5 euro" in project.run("dg", "launch", "--assets", "price")


def test_models_of_yaml_and_of_python_become_champions_by_the_daemon_alone(project):
    log = project.home / "dev.log"
    registry = MlflowRegistry(tracking_uri=f"sqlite:///{project.root / '.mlops/mlflow.db'}", artifact_root="unused")

    def crowned() -> bool:
        return (project.root / ".mlops/mlflow.db").exists() and all(map(registry.champion, MODELS))

    process = project.start("dg", "dev", log=log)
    try:
        wait_until(lambda: crowned() or process.poll() is not None, f"champions of {MODELS}", log)
        assert process.poll() is None, log.read_text()[-5_000:]
    finally:
        stop(process)
    assert {name: registry.champion(name).version for name in MODELS} == dict.fromkeys(MODELS, 1)
    assert "Executing steps using multiprocess executor" not in log.read_text()  # a run is one process here too
