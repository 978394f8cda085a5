"""`Deployment`: sensors, schedules and resources for all models of a code location, from a few lines of YAML."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel, Field, RootModel
from pydantic.json_schema import JsonSchemaValue

from mlops_assets.components.defs_yaml import attributes_of, by_line
from mlops_assets.components.scaffolding import DeploymentScaffolder
from mlops_assets.components.schema import fields_schema, mapping
from mlops_assets.components.tree import models_beside
from mlops_assets.errors import DeclarationError, MlopsAssetsError
from mlops_assets.records.frames import BatchFiles
from mlops_assets.resources.alerts import Alerts
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.calls import without_credentials
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
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
    registry_watch: SensorRule = Field(SensorRule(), description="Tells when a champion is gone or was moved by hand.")
    alerts: SensorRule = Field(SensorRule(every=60), description="Tells people what they should know.")


class StorageRule(Declared):
    """Where batches and records are kept."""

    root: str | None = Field(
        None, description="Folder; else $MLOPS_ASSETS_STORAGE, else `storage` in `home`. All runs must reach it."
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
        description="Folder (relative to the project) or URI for artifacts of new experiments; else `mlartifacts` in "
        "`home`.",
    )
    ui_url: str | None = Field(
        None, description="Where people open MLflow; else $MLOPS_ASSETS_MLFLOW_UI, else http://127.0.0.1:5000."
    )
    timeout_seconds: int = Field(10, ge=1, description="Seconds that one request to a server may take.")
    retries: int = Field(2, ge=0, description="How often a failed request is repeated.")


class AlertsRule(Declared):
    """How alerts reach people."""

    variable: str = Field("MLOPS_ASSETS_ALERTS", description="Environment variable that holds the Apprise URLs.")
    ui_url: str | None = Field(
        None, description="Dagster's UI, for links; else $MLOPS_ASSETS_DAGSTER_UI, else http://127.0.0.1:3000."
    )


class Schedules(Declared):
    """The schedules, one for each `retraining.cron` that models declare."""

    running: bool = Field(True, description="Whether they run without being switched on in the UI.")


class DeploymentAttributes(RootModel[dict[str, Any]]):
    """The attributes of a Deployment as written; its declaration reports what is wrong with them."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> JsonSchemaValue:
        return {"title": "Deployment", **mapping(fields_schema(Deployment))}


@dg.scaffold_with(DeploymentScaffolder)
class Deployment(Declared, dg.Component):
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
    alerts: AlertsRule = Field(AlertsRule(), description="How people are told.")
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
            sensors=list(self._sensors()),
            schedules=retraining_schedules(models, running=self.schedules.running),
        )

    def resources(self, project: Path) -> dict[str, Any]:
        """Return the resources that the pack's assets and sensors require."""
        home = (project / Path(self.home or os.environ.get("MLOPS_ASSETS_HOME") or ".mlops").expanduser()).resolve()
        named = self.storage.root or os.environ.get("MLOPS_ASSETS_STORAGE") or home / "storage"
        root = str(project / Path(named).expanduser())
        database = _database(self.storage.database) or f"sqlite:///{home / 'records.db'}"
        mlflow = self.mlflow
        return {
            "mlops_storage": Storage(root=root, database=database),
            "mlops_batches": BatchFiles(root=root, database=database),
            "mlflow_registry": MlflowRegistry(
                tracking_uri=_address(mlflow.tracking_uri) or f"sqlite:///{home / 'mlflow.db'}",
                artifact_root=_place(mlflow.artifact_root, project) or str(home / "mlartifacts"),
                ui_url=without_credentials(
                    mlflow.ui_url or os.environ.get("MLOPS_ASSETS_MLFLOW_UI") or "http://127.0.0.1:5000"
                ),
                timeout_seconds=mlflow.timeout_seconds,
                retries=mlflow.retries,
            ),
            "great_expectations": GreatExpectations(),
            "mlops_alerts": Alerts(
                variable=self.alerts.variable,
                ui_url=self.alerts.ui_url or os.environ.get("MLOPS_ASSETS_DAGSTER_UI") or "http://127.0.0.1:3000",
            ),
        }

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return DeploymentAttributes

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> "Deployment":
        """Return the component that a defs.yaml declares; errors name the lines of problems."""
        try:  # not in a function that both components share: Dagster prints each frame of an error
            return cls(**attributes_of(cls.__name__, attributes, context))
        except MlopsAssetsError as error:
            raise by_line(error, context) from None

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        return dg.ComponentTypeSpec(tags=["mlops"], produces=["sensor", "schedule", "resource"])

    def _sensors(self) -> Iterator[dg.SensorDefinition]:
        makers = (new_data_sensor, retraining_sensor, registry_watch_sensor, alerts_sensor)
        for maker, name in zip(makers, Sensors.model_fields, strict=True):
            rule: SensorRule = getattr(self.sensors, name)
            status = dg.DefaultSensorStatus.RUNNING if rule.running else dg.DefaultSensorStatus.STOPPED
            yield maker(minimum_interval_seconds=rule.every, default_status=status)


def _address(declared: str | None) -> str:
    """Return the address of MLflow as Dagster may show it: an address with credentials by its environment variable."""
    if declared and without_credentials(declared) != declared:
        raise DeclarationError(
            f"mlflow.tracking_uri holds credentials ({without_credentials(declared)[:80]} without them), and Dagster "
            "shows it: set the environment variable MLFLOW_TRACKING_URI, or write `$NAME` for another one"
        )
    found = os.environ.get("MLFLOW_TRACKING_URI", "")
    return declared or (found if without_credentials(found) == found else "$MLFLOW_TRACKING_URI")


def _database(declared: str | None) -> str:
    """Return the database of records as Dagster may show it: a URL with credentials by its environment variable."""
    if declared and without_credentials(declared) != declared:
        raise DeclarationError(
            f"storage.database holds credentials ({without_credentials(declared)[:80]} without them), and Dagster "
            "shows it: set the environment variable MLOPS_ASSETS_DATABASE, or write `$NAME` for another one"
        )
    return declared or ("$MLOPS_ASSETS_DATABASE" if os.environ.get("MLOPS_ASSETS_DATABASE") else "")


def _place(named: str | None, project: Path) -> str | None:
    """Return a folder with its absolute path, a URI unchanged."""
    return named if named is None or ":" in named else str(project / Path(named).expanduser())
