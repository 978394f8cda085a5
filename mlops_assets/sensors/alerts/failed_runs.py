"""Alerts on failed runs of the pack: all attempts at the same batch or training are one alert."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import dagster as dg

from mlops_assets.assets.shared.keys import DATA_VERSION, DECLARATION_VERSION, KIND, MARK, MODEL
from mlops_assets.records.batches import BatchLedger
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.alerts import Alert
from mlops_assets.sensors.alerts.recorded_alarms import LONGEST, alarm
from mlops_assets.sensors.runs import FAILED, PARTITION, by_model, ended_at

_RECENT = timedelta(days=1)
_MOST_RUNS, _MOST_TRAININGS = 200, 1_000
_WRAPPER = "DagsterExecutionStepExecutionError"


@dataclass(frozen=True)
class FailedRuns:
    """Failed runs by model, the newest first: runs of any kind in the last day, trainings in the last seven days."""

    recent: dict[str, list[dg.RunRecord]] = field(default_factory=dict)
    trainings: dict[str, list[dg.RunRecord]] = field(default_factory=dict)


def failed_runs(instance: dg.DagsterInstance, models: Sequence[str], now: datetime) -> FailedRuns:
    """Return the failed runs of all models, by two queries; an empty result without models."""
    if not models:
        return FailedRuns()
    recent = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.FAILURE], tags={MODEL: list(models)}, updated_after=now - _RECENT
    )
    trainings = dg.RunsFilter(statuses=FAILED, tags={KIND: "training"}, updated_after=now - LONGEST)
    return FailedRuns(
        by_model(instance.get_run_records(recent, limit=_MOST_RUNS)),
        by_model(instance.get_run_records(trainings, limit=_MOST_TRAININGS)),
    )


def run_alarms(
    records: ModelRecords, instance: dg.DagsterInstance, failed: FailedRuns, sent: Collection[str]
) -> Iterator[Alert]:
    """Yield alerts on failed runs that no other alert explains, and on trainings that are not tried again.

    The reason of a failure is read from the run's events only if the alert's key is not in `sent`.
    """
    yield from _given_up(records, failed.trainings.get(records.name, []))
    recent, sent = failed.recent.get(records.name, []), set(sent)
    if not recent:
        return
    refused = {training.run_id for training in records.trainings.all() if training.status == "refused"}
    for record in recent:
        run = record.dagster_run
        if run.run_id in refused or _batch_says_why(records.batches, run):  # another alert reports it
            continue
        alert = alarm(
            records.model,
            "run failed",
            subject=_purpose(run),
            reason="",
            link=f"runs/{run.run_id}",
            identity=_identity(record),
            at=ended_at(record),
        )
        if alert.key not in sent:
            sent.add(alert.key)
            yield replace(alert, reason=_why(instance, run.run_id))


def _given_up(records: ModelRecords, failed: Sequence[dg.RunRecord]) -> Iterator[Alert]:
    model = records.model
    attempts: dict[tuple[str, str], list[dg.RunRecord]] = {}
    for record in failed:
        tags = record.dagster_run.tags
        if DATA_VERSION in tags and DECLARATION_VERSION in tags:
            attempts.setdefault((tags[DATA_VERSION], tags[DECLARATION_VERSION]), []).append(record)
    for (data, declaration), runs in attempts.items():
        training = records.trainings.get(data, declaration)
        if len(runs) < model.retraining.attempts or (training is not None and training.final):
            continue
        newest = runs[0]
        yield alarm(
            model,
            "training given up",
            subject=f"data version {data}",
            reason=f"{len(runs)} attempts failed and it is not tried again by itself: mend the cause, then launch "
            f"{model.name}_training",
            link=f"runs/{newest.dagster_run.run_id}",
            identity=f"{data}/{declaration}",
            at=ended_at(newest),
        )


def _batch_says_why(ledger: BatchLedger, run: dg.DagsterRun) -> bool:
    """Return whether a run failed because it rejected its batch or found a duplicate: the batch's record says why."""
    batch = run.tags.get(PARTITION)
    record = ledger.get(batch) if batch else None
    if record is None or record.status == "accepted":
        return False
    return record.run_id == run.run_id or (MARK in run.tags and record.mark == run.tags[MARK])


def _identity(record: dg.RunRecord) -> str:
    """Return an identity of a run's purpose; without tags of a purpose, its job on that day."""
    run, tags = record.dagster_run, record.dagster_run.tags
    subject = [tags[tag] for tag in (MARK, DATA_VERSION, DECLARATION_VERSION) if tags.get(tag)]
    parts = [tags.get(KIND, run.job_name), tags.get(PARTITION, ""), *(subject or [f"{ended_at(record):%Y-%m-%d}"])]
    return "/".join(parts)


def _purpose(run: dg.DagsterRun) -> str:
    batch = run.tags.get(PARTITION)
    return f"{run.tags.get(KIND) or run.job_name} run" + (f" of {batch}" if batch else "")


def _why(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return the error of the first failed step, else the message of the run."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    for record in instance.get_records_for_run(run_id, of_type=kinds, limit=1).records:
        event = record.event_log_entry.dagster_event
        if event is not None and event.is_step_failure and event.step_failure_data.error is not None:
            error = event.step_failure_data.error
            while error.cls_name == _WRAPPER and error.cause is not None:
                error = error.cause
            return f"{event.step_key}: {error.message}"
        if event is not None and event.message:
            return event.message
    return "the run gives no reason"
