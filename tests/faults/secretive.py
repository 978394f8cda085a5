"""Runs of a deployment whose addresses, environment and exceptions hold a secret: `python secretive.py HOME`.

Prints as JSON which of the runs succeeded; see `test_security.py`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import dagster as dg

from mlops_assets import Frame, Table
from mlops_assets.resources.alerts import Alert, Alerts
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.sensors.alerts.sensor import alerts_job
from support.deployment import DeployedModel, Deployment


def broken() -> Any:
    """A source of a user, whose library puts its address into what it raises."""
    token = os.environ["WAREHOUSE_TOKEN"]
    raise OSError(f"cannot connect to postgresql://ada:{token}@warehouse:5432/shop?token={token}")


def deliver(deployment: Deployment) -> bool:
    """A run that sends an alert to a service that is not there."""
    from dataclasses import asdict

    alert = asdict(
        Alert(
            kind="drift",
            model="shop",
            subject="b3",
            reason="drifted",
            link="assets/shop/drift",
            key="key",
            at="2026-01-01T00:00:00+00:00",
        )
    )
    values = json.loads(json.dumps(alert))
    job = dg.Definitions(
        jobs=[alerts_job(0.0)], resources={**deployment.resources, "mlops_alerts": Alerts()}
    ).resolve_job_def("mlops_assets_alerts")
    config = {"ops": {"send_alerts": {"config": {"alerts": [values]}}}}
    return bool(job.execute_in_process(run_config=config, instance=deployment.instance, raise_on_error=False).success)


def main() -> None:
    """Scored from a database, then with MLflow away, then from a source that raises, then an alert."""
    deployment = Deployment(Path(sys.argv[1]))
    orders = Table("orders", url="$SHOP_DATABASE", period="day", time="day")
    shop = deployment.model("shop", source=orders, pages="always")
    days = list(shop.pipeline.source.look({}).ready)
    succeeded = [shop.materialize("dataset", "features", batch=day).success for day in days[:2]]
    scored = all(succeeded) and shop.train().success and shop.take_in(days[2]).success
    away = Deployment(Path(sys.argv[1]), registry=MlflowRegistry(tracking_uri="$MLFLOW_ADDRESS", retries=0))
    models: dict[str, DeployedModel] = {
        "away": away.model("shop", source=orders),
        "broken": deployment.model("broken", source=Frame(broken, period="day", time="day")),
    }
    ends = {name: model.take_in(days[3]).success for name, model in models.items()}
    print(json.dumps({"scored": scored, **ends, "alerts": deliver(deployment)}))


if __name__ == "__main__":
    main()
