"""The code location of `test_suites_while_served.py`: a model whose suite is to be inferred."""

import os
from pathlib import Path

import dagster as dg

from mlops_assets import Folder, ModelPipeline
from mlops_assets.records.frames import BatchFiles
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.storage import Storage

HOME = Path(os.environ["SERVED_HOME"])
DECLARED = {"time": "day", "key": ["id"], "target": "y", "estimator": "sklearn.linear_model.Ridge", "pages": "never"}


@dg.definitions
def defs() -> dg.Definitions:
    """A function, as a project of components has it: Dagster calls it anew in each process."""
    source = Folder(str(HOME / "landing" / "*.csv"))
    shop = ModelPipeline(name="shop", source=source, expectations=str(HOME / "expectations.yaml"), **DECLARED)
    resources = {
        "mlops_storage": Storage(root=str(HOME / "storage")),
        "mlops_batches": BatchFiles(root=str(HOME / "storage")),
        "great_expectations": GreatExpectations(),
        "mlflow_registry": dg.ResourceDefinition.none_resource(),
    }
    ours = dg.Definitions(resources=resources, executor=dg.in_process_executor)
    return dg.Definitions.merge(shop.build_defs(), ours)
