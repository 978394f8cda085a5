"""A code location of two models and an asset of a user's own that tells each run what was built of them."""

import json
import os
from pathlib import Path

import dagster as dg

from mlops_assets import Folder, ModelPipeline
from mlops_assets.dagster_private import executed_run
from mlops_assets.resources import BatchFiles, GreatExpectations, MlflowRegistry, Storage

HOME = Path(os.environ["LAUNCHER_OUT"])
RUN = executed_run()


def model(name: str) -> dg.Definitions:
    """A model without batches."""
    source = Folder(str(HOME / name / "*.csv"))
    estimator = "sklearn.linear_model.Ridge"
    return ModelPipeline(name=name, source=source, time="at", key=["at"], target="y", estimator=estimator).build_defs()


@dg.asset(deps=[dg.AssetKey(["south", "predictions"])])
def orders() -> None:
    """An asset of a user's own."""


RESOURCES = {
    "mlops_storage": Storage(root=str(HOME)),
    "mlops_batches": BatchFiles(root=str(HOME)),
    "mlflow_registry": MlflowRegistry(tracking_uri=f"sqlite:///{HOME}/mlflow.db"),
    "great_expectations": GreatExpectations(),
}
defs = dg.Definitions.merge(
    model("north"),
    model("south"),
    dg.Definitions(
        assets=[orders],
        jobs=[dg.define_asset_job("south_orders", ["orders"], tags={"mlops_assets/model": "south"})],
        resources=RESOURCES,
        executor=dg.in_process_executor,
    ),
)
if RUN is not None:
    built = {asset.key.to_user_string(): type(asset).__name__ for asset in defs.assets or ()}
    (HOME / RUN.run_id).write_text(json.dumps(built))
