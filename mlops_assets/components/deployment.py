"""`Deployment`: sensors, schedules and resources for all models of a code location, from a few lines of YAML."""

import os
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field

from mlops_assets.components.defs_yaml import DeclaredInYaml, by_line
from mlops_assets.components.scaffolding import DeploymentScaffolder
from mlops_assets.components.schema import attributes_class, fields_schema, mapping
from mlops_assets.components.tree import models_beside
from mlops_assets.errors import DeclarationError
from mlops_assets.file_systems import is_local, is_url
from mlops_assets.records.frames import BatchFiles
from mlops_assets.resources.alerts import Alerts
from mlops_assets.resources.compute import Compute
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.calls import default_artifact_root, without_credentials
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage.resource import DATABASE_VARIABLE, Storage
from mlops_assets.sensors.alerts.sensor import alerts_sensor
from mlops_assets.sensors.new_data.sensor import new_data_sensor
from mlops_assets.sensors.registry_watch import registry_watch_sensor
from mlops_assets.sensors.retraining.schedules import retraining_schedules
from mlops_assets.sensors.retraining.sensor import retraining_sensor
from mlops_assets.strict_model import Declared


class SensorRule(Declared):
    """How a sensor runs."""

    running: bool = Field(True, description="Whether it runs without being switched on in the UI.")
    every: int = Field(30, ge=5, description="Seconds between two ticks.")


class Sensors(Declared):
    """The sensors, each one for all models of the code location."""

    new_data: SensorRule = Field(SensorRule(), description="Takes in batches that are new or have changed.")
    retraining: SensorRule = Field(SensorRule(), description="Decides when a new challenger is trained.")
    registry_watch: SensorRule = Field(SensorRule(), description="Reports a champion that is gone or moved by hand.")
    alerts: SensorRule = Field(SensorRule(every=60), description="Sends alerts to people.")


_SENSORS = {
    "new_data": new_data_sensor,
    "retraining": retraining_sensor,
    "registry_watch": registry_watch_sensor,
    "alerts": alerts_sensor,
}
"""Each field of `Sensors`, and the function that makes its sensor."""


class StorageRule(Declared):
    """Where batches and records are kept."""

    root: str | None = Field(
        None,
        description="Folder (relative to the project), or s3://bucket/folder, gs://..., abfs://..., which require "
        "`database`; else $MLOPS_ASSETS_STORAGE, else `storage` in `home`. All runs must reach it.",
    )
    database: str | None = Field(
        None,
        description="Database of records: `$NAME`, an environment variable with its URL (PostgreSQL, or SQLite on a "
        "local disk); else $MLOPS_ASSETS_DATABASE, else SQLite in `home`.",
    )


class MlflowRule(Declared):
    """Where MLflow is."""

    tracking_uri: str | None = Field(
        None,
        description="Server or database, or `$NAME`, an environment variable with its address; "
        "else $MLFLOW_TRACKING_URI, else SQLite in `home`.",
    )
    artifact_root: str | None = Field(
        None,
        description="Folder (relative to the project) or URI for artifacts of new experiments; else where the server "
        "of `tracking_uri` keeps them or, without a server, `mlartifacts` in `home`.",
    )
    ui_url: str | None = Field(
        None, description="Where people open MLflow; else $MLOPS_ASSETS_MLFLOW_UI, else http://127.0.0.1:5000."
    )
    timeout_seconds: int = Field(10, ge=1, description="Seconds that one request to a server may take.")
    retries: int = Field(2, ge=0, description="How often a failed request is repeated.")


class ComputeRule(Declared):
    """Where the fits of models that declare `Search(workers=...)` run."""

    scheduler: str | None = Field(
        None,
        description="Address of a Dask scheduler, or `$NAME`, an environment variable with it; else "
        "$MLOPS_ASSETS_DASK. Without either, local processes.",
    )
    fallback: bool = Field(
        True, description="Whether a run goes on in local processes if the scheduler does not answer; else it fails."
    )
    wait_seconds: int = Field(30, ge=1, description="Seconds without an answer, or workers, after which it is away.")


class AlertsRule(Declared):
    """How alerts reach people."""

    variable: str = Field("MLOPS_ASSETS_ALERTS", description="Environment variable that holds the Apprise URLs.")
    ui_url: str | None = Field(
        None, description="Dagster's UI, for links; else $MLOPS_ASSETS_DAGSTER_UI, else http://127.0.0.1:3000."
    )


class Schedules(Declared):
    """The schedules, one for each `retraining.cron` that models declare."""

    running: bool = Field(True, description="Whether they run without being switched on in the UI.")


@dg.scaffold_with(DeploymentScaffolder)
class Deployment(Declared, DeclaredInYaml):
    """What the models of a code location share: resources, four sensors, and a schedule for each cron they declare.

    A code location has one. It finds the models of the whole defs folder, in YAML and in Python. Everything has a
    default that works: files and SQLite in `home`.
    """

    home: str | None = Field(
        None,
        description="Folder for everything that has no place of its own; else $MLOPS_ASSETS_HOME, else `.mlops`. "
        "Relative to the project.",
    )
    storage: StorageRule = Field(StorageRule(), description="Where batches and records are kept.")
    mlflow: MlflowRule = Field(MlflowRule(), description="Where MLflow is.")
    compute: ComputeRule = Field(ComputeRule(), description="Where fits of `Search(workers=...)` run.")
    alerts: AlertsRule = Field(AlertsRule(), description="How alerts reach people.")
    sensors: Sensors = Field(Sensors(), description="The sensors, each one for all models.")
    schedules: Schedules = Field(Schedules(), description="The schedules, one for each cron that models declare.")

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the resources, sensors and schedules; all other components are built first, for their models."""
        resources = self.resources(context.project_root)
        try:
            models = models_beside(context, resources)
        except DeclarationError as error:
            raise by_line(error, context) from None
        return dg.Definitions(
            resources=resources,
            sensors=[self._sensor(name) for name in _SENSORS],
            schedules=retraining_schedules(models, running=self.schedules.running),
        )

    def resources(self, project: Path) -> dict[str, Any]:
        """Return the resources that the pack's assets and sensors require."""
        home = (project / Path(self.home or os.environ.get("MLOPS_ASSETS_HOME") or ".mlops").expanduser()).resolve()
        folder = self.storage.root or os.environ.get("MLOPS_ASSETS_STORAGE") or str(home / "storage")
        root = folder if is_url(folder) else str(project / Path(folder).expanduser())
        database = _address("storage.database", self.storage.database, DATABASE_VARIABLE, home / "records.db")
        if not is_local(root) and not self.storage.database and not os.environ.get(DATABASE_VARIABLE):
            database = ""  # a file of one machine is not the database of a storage that all reach: refused by Storage
        mlflow = self.mlflow
        tracking = _address("mlflow.tracking_uri", mlflow.tracking_uri, "MLFLOW_TRACKING_URI", home / "mlflow.db")
        artifacts = mlflow.artifact_root or default_artifact_root(tracking, home)
        if artifacts is not None and ":" not in artifacts:
            artifacts = str(project / Path(artifacts).expanduser())
        ui_url = mlflow.ui_url or os.environ.get("MLOPS_ASSETS_MLFLOW_UI") or "http://127.0.0.1:5000"
        return {
            "mlops_storage": Storage(root=root, database=database),
            "mlops_batches": BatchFiles(root=root, database=database),
            "mlflow_registry": MlflowRegistry(
                tracking_uri=tracking,
                artifact_root=artifacts,
                model_cache=str(home / "models"),
                ui_url=without_credentials(ui_url),
                timeout_seconds=mlflow.timeout_seconds,
                retries=mlflow.retries,
            ),
            "great_expectations": GreatExpectations(),
            "mlops_compute": Compute(
                scheduler=self.compute.scheduler or "",
                fallback=self.compute.fallback,
                wait_seconds=self.compute.wait_seconds,
            ),
            "mlops_alerts": Alerts(
                variable=self.alerts.variable,
                ui_url=self.alerts.ui_url or os.environ.get("MLOPS_ASSETS_DAGSTER_UI") or "http://127.0.0.1:3000",
            ),
        }

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return attributes_class(lambda: {"title": "Deployment", **mapping(fields_schema(cls))})

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        return dg.ComponentTypeSpec(tags=["mlops"], produces=["sensor", "schedule", "resource"])

    def _sensor(self, name: str) -> dg.SensorDefinition:
        rule: SensorRule = getattr(self.sensors, name)
        status = dg.DefaultSensorStatus.RUNNING if rule.running else dg.DefaultSensorStatus.STOPPED
        return _SENSORS[name](minimum_interval_seconds=rule.every, default_status=status)


def _address(field: str, declared: str | None, variable: str, default: Path) -> str:
    """Return an address as Dagster may show it, with credentials by its environment variable; else an SQLite file."""
    if declared and without_credentials(declared) != declared:
        raise DeclarationError(
            f"{field} holds credentials ({without_credentials(declared)[:80]} without them), and Dagster shows it: set "
            f"the environment variable {variable}, or write `$NAME` for another one"
        )
    address = os.environ.get(variable, "")
    public = address if without_credentials(address) == address else f"${variable}"
    return declared or public or f"sqlite:///{default}"
