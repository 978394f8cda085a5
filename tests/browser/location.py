"""The code location that the browser tests look at: one small model on files, all below MLOPS_ASSETS_HOME."""

import os
from pathlib import Path

import dagster as dg

from mlops_assets import Folder, ModelPipeline, Search
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow_registry import MlflowRegistry
from mlops_assets.resources.storage import BatchFiles, Storage

HOME = Path(os.environ["MLOPS_ASSETS_HOME"])

demand = ModelPipeline(
    name="demand",
    description="Demand of the next hour.",
    source=Folder(str(HOME / "landing" / "*.csv")),
    time="hour",
    key=["id"],
    target="sold",
    expectations=str(Path(__file__).with_name("expectations.yaml")),
    estimator="sklearn.linear_model.Ridge",
    search=Search({"alpha": [0.1, 1.0]}, method="grid", folds=2),
    holdout=1,
    metrics=["rmse", "mae"],
    slices=["shop"],
    pages="never",  # Evidently's page takes ten seconds, and is looked at in MLflow
    owners=["team:sales"],
)

defs = dg.Definitions.merge(
    demand.build_defs(),
    dg.Definitions(
        resources={
            "mlops_storage": Storage(root=str(HOME / "storage")),
            "mlops_batches": BatchFiles(root=str(HOME / "storage")),
            "mlflow_registry": MlflowRegistry(
                tracking_uri=f"sqlite:///{HOME / 'mlflow.db'}", artifact_root=str(HOME / "artifacts")
            ),
            "great_expectations": GreatExpectations(),
        },
        executor=dg.in_process_executor,
    ),
)
