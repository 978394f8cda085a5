"""`retraining`: one sensor for all models that decides on a new training whenever its evidence has changed."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

import dagster as dg

from mlops_assets.decisions.retraining.decide import TAKING_IN, decide_retraining
from mlops_assets.errors import StorageError
from mlops_assets.records.batches import BatchRecord, Excluded, Labelled
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.promotions import Promotion
from mlops_assets.records.reports import BatchReport
from mlops_assets.records.trainings import TrainingRecord
from mlops_assets.records.typed import store_of
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.each_model import each_model
from mlops_assets.sensors.one_process import in_one_process
from mlops_assets.sensors.registry_probe import Probe
from mlops_assets.sensors.retraining.events import observation, recorded_before, training_request
from mlops_assets.sensors.retraining.gather import Runs, evidence_of, runs_of

_READ = [record.KIND for record in (BatchRecord, Labelled, Excluded, Promotion, TrainingRecord)]
_READ += [f"{BatchReport.KIND}/drift", f"{BatchReport.KIND}/performance"]
"""The kinds of records that a decision is made from."""
MOST_SECONDS = 15.0
"""After this time a tick leaves the other models to the next tick: Dagster ends a tick after 60 seconds."""


@dataclass(frozen=True, kw_only=True)
class DecisionMemory:
    """The memory of a model that a tick leaves for the next: the state, the decision and its time, the next look."""

    state: str = ""
    key: str = ""
    at: str = ""
    again_at: str = ""
    intake_since: str = ""

    @classmethod
    def of(cls, value: Mapping[str, str]) -> "DecisionMemory":
        """Return the memory from the cursor; unknown fields of another release are dropped."""
        return cls(**{name: value[name] for name in cls.__dataclass_fields__ if name in value})

    def due(self, now: datetime) -> bool:
        """Return whether the decision may have changed with time, or the clock was set back since the decision."""
        if not self.again_at:
            return False
        return not datetime.fromisoformat(self.at) <= now < datetime.fromisoformat(self.again_at)


def retraining_sensor(
    name: str = "retraining",
    minimum_interval_seconds: int = 30,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.RUNNING,
) -> dg.SensorDefinition:
    """Return a sensor that decides on retraining for each model and records decisions on the asset `champion`.

    It decides from the records, and only on models with a change since the last decision. Before it requests a
    training it asks whether the registry answers, at most once a tick.
    """

    @dg.sensor(
        name=name,
        asset_selection=dg.AssetSelection.all(),
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description="Decides on retraining: drift, decay, volume, growth, age, version. On record at each champion.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, mlops_storage: Storage, mlflow_registry: MlflowRegistry
    ) -> dg.SensorResult:
        tick = RetrainingTick(context, mlflow_registry)

        def decide(records: ModelRecords, before: dict[str, str] | None) -> dict[str, str]:
            return asdict(tick.decide(records, DecisionMemory.of(before or {})))

        away = (StorageError,)  # each model would wait for it as long
        cursor = each_model(context, mlops_storage, context.cursor, decide, seconds=MOST_SECONDS, ends_at=away)
        return dg.SensorResult(in_one_process(tick.requests, context), cursor=cursor, asset_events=tick.events)

    return sensor


class RetrainingTick:
    """One tick: the runs of all models, read once, and the requests and events for Dagster."""

    def __init__(self, context: dg.SensorEvaluationContext, registry: MlflowRegistry) -> None:
        self._context, self._probe = context, Probe(registry)
        self._now = datetime.now(UTC)
        self._runs = runs_of(context.instance, self._now)
        self.requests: list[dg.RunRequest] = []
        self.events: list[dg.AssetObservation] = []

    def decide(self, records: ModelRecords, memory: DecisionMemory) -> DecisionMemory:
        """Decide on a model if anything has changed, record a new decision, and request a run if it fires."""
        model, state = records.model, _state(records, self._runs)
        if state == memory.state and not memory.due(self._now):
            return memory
        since = datetime.fromisoformat(memory.intake_since) if memory.intake_since else self._now
        evidence = evidence_of(records, self._runs, since)
        decision = decide_retraining(model.retraining, evidence, self._now)
        if decision.fire and (no_answer := self._probe.why_no_answer(model.name)):
            evidence = replace(evidence, registry_away=no_answer)  # a run would fail without it and be an attempt
            decision = decide_retraining(model.retraining, evidence, self._now)
        if self._runs.intake.get(model.name) and not decision.triggers:
            return replace(memory, state="")  # half of a batch's records are not evidence; its run ends soon
        instance = self._context.instance
        if decision.key != memory.key and not recorded_before(instance, model.name, decision):
            self.events.append(observation(instance, model.name, decision, evidence, self._now))
            self._context.log.info(f"{model.name}: {decision.verdict}: {decision.reason}")
        if decision.fire:
            self.requests.append(training_request(instance, model.name, decision, evidence))
        return DecisionMemory(
            state="" if decision.fire or evidence.registry_away else state,  # looked at again until the run is seen
            key=decision.key,
            at=self._now.isoformat(),
            again_at=decision.again_at.isoformat() if decision.again_at else "",
            intake_since=(memory.intake_since or self._now.isoformat()) if TAKING_IN in decision.holds else "",
        )


def _state(records: ModelRecords, runs: Runs) -> str:
    """Return a text that changes whenever the evidence of a decision changes."""
    model, store = records.model, store_of(records.storage)
    revisions = [store.revision(model.name, kind) for kind in _READ]
    under_way = [f"+{run.run_id}" for of_kind in (runs.training, runs.intake) for run in of_kind.get(model.name, [])]
    failed = [f"-{record.dagster_run.run_id}" for record in runs.failed.get(model.name, [])]
    policy = hashlib.sha256(model.retraining.model_dump_json().encode()).hexdigest()[:16]
    return " ".join(str(part) for part in (model.training_version, policy, *revisions, *under_way, *failed[:1]))
