"""Schedules from the declarations: one for all models with the same cron; each tick records a decision."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg

from mlops_assets.assets.shared.keys import TRAINING_ASSETS, asset_key, declared_models
from mlops_assets.decisions.retraining.decide import decide_retraining
from mlops_assets.declaration import Declaration
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.retraining.events import observation, recorded_before, training_request
from mlops_assets.sensors.retraining.gather import Runs, evidence_of, runs_of

# `1-5` and `1,5` are two schedules, so they need two names.
_IN_CRON = str.maketrans({"*": "x", ",": "and", "-": "to", "/": "by", "#": "nth"})
_IN_ZONE = str.maketrans({"+": "plus", "-": "minus"})


def retraining_schedules(
    models: Sequence[Declaration] | None = None, running: bool = True
) -> list[dg.ScheduleDefinition]:
    """Return one schedule for each cron (and time zone) of these models, by default of all built in this process.

    Call it after the models are built. A tick decides as the sensor `retraining` does, with the clock as a trigger:
    it trains nothing twice, and records the reason if it does not train.
    """
    groups: dict[tuple[str, str], list[Declaration]] = {}
    for model in declared_models() if models is None else models:
        if model.retraining.cron is not None:
            groups.setdefault((model.retraining.cron, model.retraining.timezone), []).append(model)
    return [_schedule(cron, timezone, group, running) for (cron, timezone), group in sorted(groups.items())]


def _schedule(cron: str, timezone: str, models: Sequence[Declaration], running: bool) -> dg.ScheduleDefinition:
    keys = [asset_key(model.name, kind) for model in models for kind in TRAINING_ASSETS]
    name = "retraining_" + re.sub(r"\W+", "_", f"{cron.translate(_IN_CRON)} {timezone.translate(_IN_ZONE)}")
    job = dg.define_asset_job(
        f"{name}_job", selection=dg.AssetSelection.assets(*keys), executor_def=dg.in_process_executor
    )
    names = ", ".join(model.name for model in models)

    @dg.schedule(
        name=name,
        job=job,
        cron_schedule=cron,
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if running else dg.DefaultScheduleStatus.STOPPED,
        description=f"Asks for a training of {names}; each tick is a decision on the champion's record.",
    )
    def schedule(context: dg.ScheduleEvaluationContext, mlops_storage: Storage) -> list[dg.RunRequest] | dg.SkipReason:
        runs = runs_of(context.instance, datetime.now(UTC))
        requests = [
            request for model in models if (request := _decide(ModelRecords(model, mlops_storage), runs, context))
        ]
        return requests or dg.SkipReason(f"no training of {names}: see the decisions on the champions")

    return schedule


def _decide(records: ModelRecords, runs: Runs, context: dg.ScheduleEvaluationContext) -> dg.RunRequest | None:
    """Decide on one model, record the decision, and return a request if it fires."""
    model = records.model
    now, instance = datetime.now(UTC), context.instance
    try:
        evidence = evidence_of(records, runs, clock=context.scheduled_execution_time)
        decision = decide_retraining(model.retraining, evidence, now)
        if not recorded_before(instance, model.name, decision):
            instance.report_runless_asset_event(observation(instance, model.name, decision, evidence, now))
    except Exception as error:  # one model's broken record must not keep the others from their training
        context.log.error(f"{model.name}: no decision: {type(error).__name__}: {error}")
        return None
    return training_request(instance, model.name, decision, evidence) if decision.fire else None
