"""A code location with one model whose world turns half-way; its batches come from memory."""

import os
from collections.abc import Iterator

import dagster as dg
import pandas as pd

from mlops_assets import Frame, ModelPipeline
from mlops_assets.records.frames import BatchFiles
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from support.synthetic import rows

HOME = os.environ["CLI_HOME"]


def batches() -> Iterator[tuple[str, pd.DataFrame]]:
    for number in range(1, 15):
        frame = rows(number, count=80)
        yield f"b{number:02d}", frame.assign(y=frame["y"] - 6 * frame["x"]) if number >= 8 else frame


turning = ModelPipeline(
    name="turning",
    source=Frame(batches),
    **{"time": "day", "key": ["id"], "target": "y", "metrics": ["rmse"], "holdout": 1, "window": 2},
    estimator="sklearn.linear_model.Ridge",
)
defs = dg.Definitions.merge(
    turning.build_defs(),
    dg.Definitions(
        resources={
            "mlops_storage": Storage(root=f"{HOME}/storage"),
            "mlops_batches": BatchFiles(root=f"{HOME}/storage"),
            "mlflow_registry": MlflowRegistry(tracking_uri=f"sqlite:///{HOME}/mlflow.db"),
            "great_expectations": GreatExpectations(),
        }
    ),
)
