"""The code location of `ticks.py`: a model on files, every sensor, and a clock of each hour.

A sensor whose name stands in the file `linger` below TICKS_HOME evaluates its tick and then keeps Dagster waiting.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

import dagster as dg

from mlops_assets import Folder, ModelPipeline
from mlops_assets.records.frames import BatchFiles
from mlops_assets.resources.alerts import Alerts
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors import (
    alerts_sensor,
    new_data_sensor,
    registry_watch_sensor,
    retraining_schedules,
    retraining_sensor,
)

HOME = Path(os.environ["TICKS_HOME"])


def linger_where_asked() -> None:
    """Let each sensor keep its result back for as long as `linger` names it."""
    evaluate = dg.SensorDefinition.evaluate_tick

    def evaluate_and_linger(sensor: dg.SensorDefinition, context: dg.SensorEvaluationContext) -> Any:
        result = evaluate(sensor, context)
        deadline = time.monotonic() + 60
        while sensor.name in _named() and time.monotonic() < deadline:
            time.sleep(0.1)
        (HOME / f"{sensor.name}.ended").touch()
        return result

    dg.SensorDefinition.evaluate_tick = evaluate_and_linger


def _named() -> str:
    path = HOME / "linger"
    return path.read_text() if path.exists() else ""


if "grpc" in sys.argv:  # the code server; the process that carries out runs loads this file as well
    linger_where_asked()

shop = ModelPipeline(
    name="shop",
    source=Folder(str(HOME / "landing" / "*.csv"), marker=True),
    **{"time": "day", "key": ["id"], "target": "y", "holdout": 1, "metrics": ["rmse"], "pages": "never"},
    estimator="sklearn.linear_model.Ridge",
    retraining={"min_new_rows": 1, "cool_down": 0, "budget": 1_000, "cron": "0 * * * *"},
)
sensors = [new_data_sensor(), retraining_sensor(), registry_watch_sensor()]
sensors.append(alerts_sensor(default_status=dg.DefaultSensorStatus.STOPPED))
defs = dg.Definitions.merge(
    shop.build_defs(),
    dg.Definitions(
        resources={
            "mlops_storage": Storage(root=str(HOME / "storage")),
            "mlops_batches": BatchFiles(root=str(HOME / "storage")),
            "mlflow_registry": MlflowRegistry(
                tracking_uri=f"sqlite:///{HOME / 'mlflow.db'}", artifact_root=str(HOME / "artifacts")
            ),
            "great_expectations": GreatExpectations(),
            "mlops_alerts": Alerts(),
        },
        sensors=sensors,
        schedules=retraining_schedules([shop]),
        executor=dg.in_process_executor,
    ),
)
