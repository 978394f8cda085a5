"""The code location that the browser tests look at: two small models on files, all below MLOPS_ASSETS_HOME."""

import os
from pathlib import Path
from typing import Any

import dagster as dg

from mlops_assets import Folder, ModelPipeline, Search
from mlops_assets.records.frames import BatchFiles
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.new_data.sensor import new_data_sensor
from mlops_assets.sensors.retraining.sensor import retraining_sensor

HOME = Path(os.environ["MLOPS_ASSETS_HOME"])
STOPPED = dg.DefaultSensorStatus.STOPPED  # a batch waits for a click, and nothing is trained unasked

SHARED: dict[str, Any] = {
    "time": "hour",
    "key": ["id"],
    "target": "sold",
    "estimator": "sklearn.linear_model.Ridge",
    "holdout": 1,
    "metrics": ["rmse", "mae"],
    "pages": "never",  # Evidently's page takes ten seconds, and is looked at in MLflow
    "owners": ["team:sales"],
}

demand = ModelPipeline(
    name="demand",
    description="Demand of the next hour.",
    source=Folder(str(HOME / "landing" / "*.csv")),
    expectations=str(Path(__file__).with_name("expectations.yaml")),
    search=Search({"alpha": [0.1, 1.0]}, method="grid", folds=2),
    slices=["shop"],
    **SHARED,
)

supply = ModelPipeline(
    name="supply",
    description="What a person rolls back, scores again and takes out of training.",
    source=Folder(str(HOME / "landing" / "supply" / "*.csv")),
    **SHARED,
)

retraining = retraining_sensor(default_status=STOPPED)
resources = {
    "mlops_storage": Storage(root=str(HOME / "storage")),
    "mlops_batches": BatchFiles(root=str(HOME / "storage")),
    "mlflow_registry": MlflowRegistry(
        tracking_uri=f"sqlite:///{HOME / 'mlflow.db'}", artifact_root=str(HOME / "artifacts")
    ),
    "great_expectations": GreatExpectations(),
}

defs = dg.Definitions.merge(
    demand.build_defs(),
    supply.build_defs(),
    dg.Definitions(
        resources=resources,
        sensors=[new_data_sensor(default_status=STOPPED), retraining],
        executor=dg.in_process_executor,
    ),
)
