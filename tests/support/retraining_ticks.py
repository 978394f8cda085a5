"""Ticks of the sensor `retraining` on records as the steps of runs leave them."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.test_utils import create_run_for_test

from mlops_assets import Folder, ModelPipeline
from mlops_assets.assets.shared.keys import declared
from mlops_assets.assets.training.training_set import split
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.frames import BatchFiles
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.reports import BatchReport, BatchReports
from mlops_assets.records.trainings import TrainingLedger, TrainingRecord
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.retraining.schedules import retraining_schedules
from mlops_assets.sensors.retraining.sensor import retraining_sensor
from support.ledger_rows import promote

CHAMPION = dg.AssetKey(["bike", "champion"])
NIGHTLY = "0 3 * * *"
CLOCK = "mlops_assets.sensors.retraining.sensor.datetime"


class Ticks:
    """Ticks of the sensor over the models `bike` and `other`; what a daemon does with a tick's result is done here."""

    def __init__(self, root, instance):
        self.root, self.instance, self.cursor = root, instance, None
        self.registry = MlflowRegistry(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")
        self.storage = Storage(root=str(root / "storage"))
        resources = {
            "mlops_storage": self.storage,
            "mlops_batches": BatchFiles(root=self.storage.root),
            "mlflow_registry": self.registry,
            "great_expectations": GreatExpectations(),
        }
        models = [self.model(name) for name in ("bike", "other")]
        self.sensor = retraining_sensor()
        self.defs = dg.Definitions.merge(
            *(model.build_defs() for model in models),
            dg.Definitions(resources=resources, sensors=[self.sensor], schedules=retraining_schedules(models)),
        )

    def model(self, name, **declared_fields):
        return ModelPipeline(
            name=name,
            source=Folder(str(self.root / f"{name}*.csv")),
            **{"target": "y", "estimator": "sklearn.linear_model.Ridge", "holdout": 1},
            **{"retraining": {"cron": NIGHTLY, "first_after": 3, "cool_down": 0, "growth": None}, **declared_fields},
        )

    def tick(self):
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.defs.get_repository_def(),
            resources={"mlops_storage": self.storage, "mlflow_registry": self.registry},
        )
        result = self.sensor.evaluate_tick(context)
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        self.cursor = result.cursor
        return result

    def batch(self, number, drift=None, decay=None, labelled=100, model="bike"):
        """A batch that was taken in; with what was found of it where it came after a champion."""
        name = f"b{number}"
        record = BatchRecord(name, "accepted", "run", version=f"v{number}", rows=100, labelled=labelled, mark="m")
        BatchLedger(self.storage, model).put_features(record, "f", declared(model).features_version)
        for kind, alarm, word in (("drift", drift, "drift"), ("performance", decay, "decay")):
            if alarm is not None:
                report = BatchReport(
                    batch=name,
                    identity=f"v{number}-f",
                    model_version=1,
                    verdict=word if alarm else f"no {word}",
                    reason="",
                    run_id="run",
                    at="2024-01-01T00:00:00+00:00",
                )
                BatchReports(self.storage, model).put(kind, report)

    def train(self, status="judged", verdict="promote", version=1, days_ago=0.0, run_id="run"):
        """What a finished training leaves: its manifest, its record and, if promoted, the champion's record."""
        model = declared("bike")
        manifest = split(ModelRecords(model, self.storage), None)
        self.storage.write_document("bike", "training_set", manifest.version, manifest.to_dict())
        at = datetime.now(UTC) - timedelta(days=days_ago)
        versions = {"data_version": manifest.version, "declaration_version": model.training_version}
        record = TrainingRecord(
            **versions,
            status=status,
            run_id=run_id,
            at=at.isoformat(),
            version=version,
            verdict=verdict,
            reason="better",
            trigger="decay",
        )
        TrainingLedger(self.storage, "bike").put(record)
        if verdict == "promote":
            made = ModelVersion(
                model="bike",
                version=version,
                digest="digest",
                run_id="mlrun",
                tags=versions,
                created=int(at.timestamp() * 1000),
                source="source",
            )
            promote(self.storage, made, by="mlops_assets", reason="better")
        return tuple(versions.values())

    def run(self, request, status):
        """The run that a request asks for, with this status."""
        return create_run_for_test(self.instance, tags=dict(request.tags), status=status)

    def newest(self):
        """The metadata of the newest decision."""
        return self.instance.fetch_observations(CHAMPION, limit=1).records[0].asset_observation.metadata

    def decisions(self):
        """The decisions on record, the newest first."""
        records = self.instance.fetch_observations(CHAMPION, limit=50).records
        return [{name: value.value for name, value in each.asset_observation.metadata.items()} for each in records]


class Clock:
    """`datetime` with a clock that the test sets."""

    def __init__(self, now):
        self._now = now

    def now(self, _zone):
        return self._now

    def fromisoformat(self, text):
        return datetime.fromisoformat(text)
