"""The measured job as a code location of ours; `OVERHEAD_HOME` names the folder that it works in.

Files, records and MLflow are in that folder, or on the servers that the pack's own environment variables name.
"""

import json
import os
from pathlib import Path

import dagster as dg

from mlops_assets import Folder, ModelPipeline
from mlops_assets.records.frames import BatchFiles
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage

HOME = Path(os.environ["OVERHEAD_HOME"])
STORAGE = os.environ.get("MLOPS_ASSETS_STORAGE") or str(HOME / "storage")
DATABASE = "$MLOPS_ASSETS_DATABASE" if os.environ.get("MLOPS_ASSETS_DATABASE") else ""
SERVER = os.environ.get("MLFLOW_TRACKING_URI")
REGISTRY = (
    MlflowRegistry(tracking_uri=SERVER, model_cache=str(HOME / "models"))
    if SERVER
    else MlflowRegistry(tracking_uri=f"sqlite:///{HOME / 'mlflow.db'}", artifact_root=str(HOME / "mlartifacts"))
)
JOB = json.loads((HOME / "job.json").read_text())

model = ModelPipeline(
    name="overhead",
    source=Folder(str(HOME / "landing" / "*.csv")),
    time="at",
    target="y",
    problem="classification",
    expectations=str(HOME / "suite.json"),
    estimator="sklearn.ensemble.HistGradientBoostingClassifier",
    params=JOB["params"],
    holdout=JOB["holdout"],
    metrics=["log_loss", "roc_auc", "accuracy"],
)

defs = dg.Definitions.merge(
    model.build_defs(),
    dg.Definitions(
        resources={
            "mlops_storage": Storage(root=STORAGE, database=DATABASE),
            "mlops_batches": BatchFiles(root=STORAGE, database=DATABASE),
            "mlflow_registry": REGISTRY,
            "great_expectations": GreatExpectations(),
        },
        executor=dg.in_process_executor,
    ),
)
