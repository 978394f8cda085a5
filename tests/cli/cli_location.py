"""The code location of these tests: what `deployment.Deployment` has below CLI_HOME, with the pack's sensors."""

import os
from pathlib import Path

import dagster as dg

from mlops_assets import Folder, ModelPipeline
from mlops_assets.records.frames import BatchFiles
from mlops_assets.resources.alerts import Alerts
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.alerts.sensor import alerts_sensor
from mlops_assets.sensors.new_data.sensor import new_data_sensor
from mlops_assets.sensors.registry_watch import registry_watch_sensor
from mlops_assets.sensors.retraining.schedules import retraining_schedules
from mlops_assets.sensors.retraining.sensor import retraining_sensor

HOME = Path(os.environ["CLI_HOME"])
NIGHTLY = "0 3 * * *"

print("a user's code prints when it is loaded")

rentals = ModelPipeline(
    name="rentals",
    source=Folder(str(HOME / "landing" / "rentals" / "*.csv")),
    **{"time": "day", "key": ["id"], "target": "y", "metrics": ["rmse", "mae"], "holdout": 1, "pages": "never"},
    estimator="sklearn.linear_model.Ridge",
    retraining={"cron": NIGHTLY},
)
storage = str(HOME / "storage")
defs = dg.Definitions.merge(
    rentals.build_defs(),
    dg.Definitions(
        resources={
            "mlops_storage": Storage(root=storage),
            "mlops_batches": BatchFiles(root=storage),
            "mlflow_registry": MlflowRegistry(
                tracking_uri=os.environ.get("CLI_MLFLOW", f"sqlite:///{HOME / 'mlflow.db'}"),
                artifact_root=str(HOME / "artifacts"),
            ),
            "great_expectations": GreatExpectations(),
            "mlops_alerts": Alerts(),
        },
        sensors=[new_data_sensor(), retraining_sensor(), registry_watch_sensor(), alerts_sensor()],
        schedules=retraining_schedules(),
    ),
)
