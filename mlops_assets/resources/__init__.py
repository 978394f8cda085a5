"""Resources around other packages: MLflow, Great Expectations, Evidently, Apprise, Dask; and files."""

from typing import TYPE_CHECKING

from mlops_assets.faces import face

if TYPE_CHECKING:
    from mlops_assets.records.frames import BatchFiles as BatchFiles
    from mlops_assets.resources.alerts import Alerts as Alerts
    from mlops_assets.resources.compute import Compute as Compute
    from mlops_assets.resources.great_expectations import GreatExpectations as GreatExpectations
    from mlops_assets.resources.mlflow.registry import MlflowRegistry as MlflowRegistry
    from mlops_assets.resources.storage.resource import Storage as Storage

_MODULES = {
    "Alerts": "alerts",
    "Compute": "compute",
    "GreatExpectations": "great_expectations",
    "MlflowRegistry": "mlflow.registry",
    "BatchFiles": "mlops_assets.records.frames",
    "Storage": "storage.resource",
}
__all__ = sorted(_MODULES)
__getattr__ = face("mlops_assets.resources", _MODULES)
