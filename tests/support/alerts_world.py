"""Two models with the sensor `alerts`, ticked by hand, and records and runs as the steps of the pack leave them."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationPlanned
from dagster._core.events import DagsterEvent, DagsterEventType

from mlops_assets import Folder, ModelPipeline
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.frames import BatchFiles
from mlops_assets.records.reports import BatchReport, BatchReports
from mlops_assets.records.trainings import TrainingLedger, TrainingRecord
from mlops_assets.resources.alerts import Alerts
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.alerts.sensor import JOB, alerts_sensor
from support.ledger_rows import promote
from support.webhook import Webhook

NOW = datetime.now(UTC)
UI = "http://dagster.example.com"


@dg.op
def broken():
    raise ValueError("the disk is full")


@dg.job(executor_def=dg.in_process_executor)
def some_job():
    broken()


class AlertsWorld:
    """Two models, `bikes` (owned) and `rides` (not), an instance, a server, and ticks of the sensor."""

    def __init__(self, root, instance, webhook: Webhook, retry_seconds=0.0):
        self.instance, self.webhook, self.cursor = instance, webhook, None
        self.storage = Storage(root=str(root / "storage"))
        self.models = {
            name: ModelPipeline(
                name=name,
                source=Folder(str(root / "*.csv")),
                target="y",
                estimator="sklearn.linear_model.Ridge",
                owners=owners,
            )
            for name, owners in {"bikes": ["team:mobility"], "rides": []}.items()
        }
        self.sensor = alerts_sensor(retry_seconds=retry_seconds)
        self.resources = {
            "mlops_storage": self.storage,
            "mlops_batches": BatchFiles(root=self.storage.root),
            "mlflow_registry": MlflowRegistry(tracking_uri="http://127.0.0.1:9"),
            "great_expectations": GreatExpectations(),
            "mlops_alerts": Alerts(ui_url=UI),
        }
        defs = dg.Definitions.merge(
            *(model.build_defs() for model in self.models.values()),
            dg.Definitions(resources=self.resources, sensors=[self.sensor]),
        )
        self.repository = defs.get_repository_def()

    def tick(self):
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={name: self.resources[name] for name in ("mlops_storage", "mlops_alerts")},
        )
        result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor
        return result

    def run(self, request):
        """The requested run, as the daemon launches it."""
        return self.repository.get_job(JOB).execute_in_process(
            run_config=request.run_config, instance=self.instance, raise_on_error=False
        )

    def tell(self):
        """A tick, and the run that it asks for."""
        for request in self.tick().run_requests:
            assert self.run(request).success

    def alarms(self):
        """What the next run would send, by kind and subject."""
        requests = self.tick().run_requests
        sent = requests[0].run_config["ops"]["send_alerts"]["config"]["alerts"] if requests else []
        return [(alert["kind"], alert["subject"]) for alert in sent]

    def reject(self, batch, mark="m1", model="bikes", run_id="run"):
        record = BatchRecord(batch, "rejected", run_id, version=None, reasons=("no rows",), mark=mark)
        BatchLedger(self.storage, model).put(record)

    def report(self, *verdicts, kind="drift", version=4):
        """The newest reports on batches of `bikes`, with a champion in force."""
        ledger, reports = BatchLedger(self.storage, "bikes"), BatchReports(self.storage, "bikes")
        start = len(ledger.all())
        for number, verdict in enumerate(verdicts, start):
            ledger.put(
                BatchRecord(
                    f"b{number}", "accepted", "run", version="v1", rows=10, labelled=10, features="f", features_code="c"
                )
            )
            at = (NOW + timedelta(seconds=number)).isoformat()
            reports.put(
                kind,
                BatchReport(
                    batch=f"b{number}",
                    identity="v1-f",
                    model_version=version,
                    verdict=verdict,
                    reason=f"p of b{number}",
                    run_id="run",
                    at=at,
                ),
            )

    def crown(self, version=4):
        version = ModelVersion(
            model="bikes", version=version, digest="d", run_id="r", tags={"data_version": "x"}, source="s"
        )
        promote(self.storage, version, by="us", reason="why")

    def judge(self, version, verdict, status="judged", at=None, data=None, model="bikes", run_id="run"):
        at = at or NOW + timedelta(seconds=version)
        record = TrainingRecord(
            data_version=data or f"data{version}",
            declaration_version="decl",
            status=status,
            run_id=run_id,
            at=at.isoformat(),
            version=version,
            verdict=verdict,
            reason="why",
        )
        TrainingLedger(self.storage, model).put(record)

    def fail(self, **tags):
        result = some_job.execute_in_process(instance=self.instance, tags=tags, raise_on_error=False)
        assert not result.success
        return result.run_id

    def check(self, passed, description):
        evaluation = dg.AssetCheckEvaluation(
            dg.AssetKey(["bikes", "champion"]), "registry_intact", passed, {}, description=description
        )
        self.instance.report_runless_asset_event(evaluation)

    def plan_check(self):
        """The record that a run leaves which does not come to its check `registry_intact`."""
        key = dg.AssetKey(["bikes", "champion"])
        run = dg.DagsterRun("training")
        self.instance.add_run(run)
        planned = AssetCheckEvaluationPlanned(asset_key=key, check_name="registry_intact")
        event = DagsterEvent(
            DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value, run.job_name, event_specific_data=planned
        )
        self.instance.report_dagster_event(event, run.run_id)
