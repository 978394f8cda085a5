"""Ticks of the sensor `new_data` on real folders, and the records that the runs it requests would leave."""

import time

import dagster as dg
import pandas as pd
from dagster._core.events import DagsterEvent
from dagster._core.events.log import EventLogEntry

from mlops_assets import Folder, ModelPipeline
from mlops_assets.assets.shared.keys import MARK, declared
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.frames import BatchFiles
from mlops_assets.records.reports import BatchReport, BatchReports
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.new_data.sensor import new_data_sensor


def pipeline(name, source, **declared_):
    """A model on a source, the rest as plain as can be."""
    return ModelPipeline(
        **{"name": name, "source": source, "target": "y", "estimator": "sklearn.linear_model.Ridge", **declared_}
    )


class Ticks:
    """One tick after another of the sensor over some models."""

    def __init__(self, root, instance, *models, registry=None):
        self.root, self.instance, self.cursor, self.ahead = root, instance, None, 0.0
        self.storage = Storage(root=str(root / "storage"))
        self.registry = registry or MlflowRegistry(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")
        resources = {
            "mlops_storage": self.storage,
            "mlops_batches": BatchFiles(root=self.storage.root),
            "mlflow_registry": self.registry,
            "great_expectations": GreatExpectations(),
        }
        self.sensor = new_data_sensor()
        self.defs = dg.Definitions.merge(
            *(model.build_defs() for model in models), dg.Definitions(resources=resources, sensors=[self.sensor])
        )
        self.repository = self.defs.get_repository_def()

    def tick(self):
        """Evaluate the sensor with the cursor of the tick before, and do what the daemon does with the result."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"mlops_storage": self.storage, "mlflow_registry": self.registry},
        )
        result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor
        return result

    def launch(self, request, status=dg.DagsterRunStatus.FAILURE):
        """A run of a request that came to this end without leaving a record."""
        run = dg.DagsterRun("batch", tags={**request.tags, "dagster/run_key": request.run_key})
        self.instance.add_run(run)
        self.end(run, status)
        return run

    def end(self, run, status):
        """Let a run begin and come to an end, or go on where `status` is STARTED."""
        kinds = {
            dg.DagsterRunStatus.STARTED: dg.DagsterEventType.PIPELINE_START,
            dg.DagsterRunStatus.FAILURE: dg.DagsterEventType.PIPELINE_FAILURE,
            dg.DagsterRunStatus.SUCCESS: dg.DagsterEventType.PIPELINE_SUCCESS,
        }
        event = DagsterEvent(kinds[status].value, run.job_name, message="")
        now = time.time() + self.ahead
        self.instance.handle_new_event(
            EventLogEntry(None, 10, "", run.run_id, now, job_name=run.job_name, dagster_event=event)
        )

    def put(self, model, batch, mark, version=None, features="f", champion=None, **record):
        """The records that a run through all steps leaves of a batch."""
        ledger = BatchLedger(self.storage, model)
        code = declared(model).features_version
        made = BatchRecord(
            batch,
            **{
                "status": "accepted",
                "run_id": "run",
                "version": version or f"v{batch}".replace("-", ""),
                "mark": mark,
                "features": features,
                "features_code": code if features else None,
                **record,
            },
        )
        ledger.put(made)
        if made.status == "accepted" and features:
            for kind in ("predictions", "drift", "performance"):
                report = BatchReport(
                    batch=batch,
                    identity=made.identity,
                    model_version=champion,
                    verdict="scored",
                    reason="",
                    run_id="run",
                    at="2024-01-01T00:00:00+00:00",
                )
                BatchReports(self.storage, model).put(kind, report)
        return made

    def taken_in(self, *names, model="bikes", **record):
        """Batches of a model of `two_folders` with complete records, and their marks."""
        for rows, name in enumerate(names, start=3):
            write(self.root / model, f"{name}.csv", rows)
        self.tick()
        marks = {each.partition_key: each.tags[MARK] for each in self.tick().run_requests}
        for name in names:
            self.put(model, name, marks[name], **record)
        return marks

    def take_in(self, result):
        """What the requested runs would leave behind."""
        for request in result.run_requests:
            self.put(request.tags["mlops_assets/model"], request.partition_key, request.tags[MARK])


def two_folders(root, instance):
    """Ticks over the models `bikes` and `cars`, each on a folder of its own."""
    models = []
    for name in ("bikes", "cars"):
        (root / name).mkdir()
        models.append(pipeline(name, Folder(str(root / name / "*.csv"))))
    return Ticks(root, instance, *models)


def write(folder, name, rows=3):
    """A file of a landing folder; other rows for another number of them."""
    pd.DataFrame({"x": range(rows), "y": range(rows)}).to_csv(folder / name, index=False)


def keys(result, model=None):
    """The batches that a tick requests runs of, of one model or of all."""
    wanted = [each for each in result.run_requests if model in (None, each.tags["mlops_assets/model"])]
    return [request.partition_key for request in wanted]
