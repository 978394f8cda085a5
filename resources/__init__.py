"""This deployment's resources: files and SQLite below MLOPS_ASSETS_HOME, or your servers by environment variable."""

import os
from pathlib import Path

from mlops_assets.resources import Alerts, BatchFiles, Compute, GreatExpectations, MlflowRegistry, Storage

HOME = Path(os.environ.get("MLOPS_ASSETS_HOME", Path(__file__).parents[1] / ".mlops")).resolve()

_ROOT = os.environ.get("MLOPS_ASSETS_STORAGE", str(HOME / "storage"))
_DATABASE = "" if "://" in _ROOT else f"sqlite:///{HOME / 'records.db'}"  # an object store requires a database
if os.environ.get("MLOPS_ASSETS_DATABASE"):
    _DATABASE = "$MLOPS_ASSETS_DATABASE"
_MLFLOW = os.environ.get("MLFLOW_TRACKING_URI", "")

resources = {
    "mlops_storage": Storage(root=_ROOT, database=_DATABASE),
    "mlops_batches": BatchFiles(root=_ROOT, database=_DATABASE),
    "mlflow_registry": MlflowRegistry(
        tracking_uri="$MLFLOW_TRACKING_URI" if _MLFLOW else f"sqlite:///{HOME / 'mlflow.db'}",
        # A server keeps artifacts where all its clients get them; a folder here is for this machine alone.
        artifact_root=None if _MLFLOW.startswith("http") else str(HOME / "mlartifacts"),
        model_cache=str(HOME / "models"),
        ui_url=os.environ.get("MLOPS_ASSETS_MLFLOW_UI", "http://127.0.0.1:5000"),
    ),
    "great_expectations": GreatExpectations(),
    "mlops_compute": Compute(),  # MLOPS_ASSETS_DASK names a scheduler
    "mlops_alerts": Alerts(ui_url=os.environ.get("MLOPS_ASSETS_DAGSTER_UI", "http://127.0.0.1:3000")),
}
