"""The alerts that a model currently gives rise to, from the records of its runs; the registry is not asked."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import dagster as dg

from mlops_assets.assets.promotion.registry_state import REGISTRY_INTACT
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.assets.training.outcome import WAITING
from mlops_assets.decisions.retraining.decide import confirmed
from mlops_assets.declaration import Declaration
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.damaged import damaged_records
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.promotions import Promotion
from mlops_assets.records.reports import ReportKind
from mlops_assets.records.trainings import TrainingRecord
from mlops_assets.records.typed import Damaged
from mlops_assets.resources.alerts import Alert, AlertKind, Severity
from mlops_assets.sensors.evaluated import evaluations
from mlops_assets.text import counted

LONGEST = timedelta(days=7)
"""Older alarms are not sent, for instance to people who turn alerts on later."""

_STREAK = 3
_MOST_EVALUATIONS = 100
_LISTED = 5
_REPORTED: tuple[tuple[ReportKind, AlertKind], ...] = (("drift", "drift"), ("performance", "decay"))
_SEVERITY: dict[AlertKind, Severity] = {
    "run failed": "failure",
    "training given up": "failure",
    "registry": "failure",
    "record cannot be read": "failure",
    "inconclusive": "info",
    "approval": "info",
}


def alarm(
    model: Declaration, kind: AlertKind, *, subject: str, reason: str, link: str, identity: str, at: datetime
) -> Alert:
    """Return an alert on a model; `identity` distinguishes it from other alerts of its kind on the same model."""
    return Alert(
        kind=kind,
        model=model.name,
        subject=subject,
        reason=reason,
        link=link,
        key=f"{model.name}/{kind}/{identity}",
        at=at.astimezone(UTC).isoformat(timespec="seconds"),
        owners=tuple(model.owners),
        severity=_SEVERITY.get(kind, "warning"),
    )


def recorded_alarms(records: ModelRecords, instance: dg.DagsterInstance) -> Iterator[Alert]:
    """Yield all alerts that follow from the records of a model and the newest evaluation of its registry check."""
    damaged = list(damaged_records(records.storage, records.name))
    yield from _damaged(records.model, damaged)
    batches = records.batches.all()
    yield from _rejected(records, batches)
    if not any(record.kind == Promotion.KIND for record in damaged):
        yield from _confirmed(records, batches)
    yield from _trainings(records)
    yield from _registry(records.model, instance)


def _damaged(model: Declaration, damaged: Sequence[Damaged]) -> Iterator[Alert]:
    """Yield alerts on damaged records, dated now: when a record was damaged is not known."""
    for record in damaged:
        yield alarm(
            model,
            "record cannot be read",
            subject=f"{record.kind}/{record.key}",
            reason=record.reason,
            link=f"assets/{model.name}/{'champion' if record.kind == Promotion.KIND else 'dataset'}",
            identity=f"{record.kind}/{record.key}/{record.revision}",
            at=datetime.now(UTC),
        )


def _rejected(records: ModelRecords, batches: list[BatchRecord]) -> Iterator[Alert]:
    for record in batches:
        if record.status == "rejected":
            yield alarm(
                records.model,
                "batch rejected",
                subject=record.batch,
                reason="; ".join(record.reasons),
                link=f"runs/{record.run_id}",
                identity=f"{record.batch}/{record.version or record.mark}",
                at=records.batches.written(record.batch),
            )


def _confirmed(records: ModelRecords, batches: list[BatchRecord]) -> Iterator[Alert]:
    """Yield alerts on drift and decay that as many batches show as a retraining requires; once for each champion."""
    model, champion = records.model, records.promotions.champion()
    if champion is None:
        return
    k, n = model.retraining.confirm
    for kind, name in _REPORTED:
        reports = records.reports.all(kind)
        of_batches = [reports[record.batch] for record in batches if record.batch in reports]
        on_champion = [report for report in of_batches if report.model_version == champion.version]
        judged = [report for report in on_champion if report.verdict in (name, f"no {name}")]
        if not confirmed([report.verdict == name for report in judged], k, n):
            continue
        raised = [report for report in judged[-n:] if report.verdict == name]
        last, newest = raised[-1], counted(len(judged[-n:]), "batch", "batches")
        shown = ", ".join(report.batch for report in raised[-_LISTED:])
        yield alarm(
            model,
            name,
            subject=f"{len(raised)} of the newest {newest} of champion version {champion.version}",
            reason=f"{shown}. {last.batch}: {last.reason}",
            link=f"assets/{model.name}/{kind}?view=partitions&partition={last.batch}",
            identity=f"version {champion.version}",
            at=datetime.fromisoformat(last.at),
        )


def _trainings(records: ModelRecords) -> Iterator[Alert]:
    model, trainings = records.model, records.trainings.all()
    for record in trainings:
        if record.status == "refused":
            yield alarm(
                model,
                "challenger refused",
                subject="training set" if record.version is None else f"version {record.version}",
                reason=record.reason,
                link=f"runs/{record.run_id}",
                identity=f"{record.data_version}/{record.declaration_version}",
                at=record.moment,
            )
        elif record.status == "judged" and record.verdict == WAITING:
            yield alarm(
                model,
                "approval",
                subject=f"version {record.version} waits for a person's approval",
                reason=record.reason,
                link=f"assets/{model.name}/champion",
                identity=f"version {record.version}",
                at=record.moment,
            )
    yield from _undecided(model, trainings)


def _undecided(model: Declaration, trainings: Sequence[TrainingRecord]) -> Iterator[Alert]:
    judged = (record for record in trainings if record.status == "judged")
    streak = [*takewhile(lambda record: record.verdict == "inconclusive", judged)]
    if len(streak) >= _STREAK:
        newest, oldest = streak[0], streak[-1]
        yield alarm(
            model,
            "inconclusive",
            subject=f"the last {len(streak)} decisions on challengers",
            reason=f"none was shown to be better or worse since version {oldest.version}; the newest: {newest.reason}",
            link=f"assets/{model.name}/champion",
            identity=f"since version {oldest.version}",
            at=newest.moment,
        )


def _registry(model: Declaration, instance: dg.DagsterInstance) -> Iterator[Alert]:
    """Yield an alert if the registry is not as the pack left it; a fault that returns after a repair is a new alert."""
    key = dg.AssetCheckKey(asset_key(model.name, "champion"), REGISTRY_INTACT)
    events = evaluations(instance, key, _MOST_EVALUATIONS)
    if not events or not (reason := _refusal(events[0])):
        return
    first = [*takewhile(lambda event: _refusal(event) == reason, events)][-1]
    yield alarm(
        model,
        "registry",
        subject=f"check {REGISTRY_INTACT} failed",
        reason=reason,
        link=f"assets/{model.name}/champion?view=checks&checkDetail={REGISTRY_INTACT}",
        identity=f"{reason}/{first.timestamp:.3f}",
        at=datetime.fromtimestamp(first.timestamp, UTC),
    )


def _refusal(event: dg.EventLogEntry) -> str:
    """Return the reason of a failed evaluation, "" for any other."""
    evaluation = event.asset_check_evaluation
    if evaluation is None or evaluation.passed:
        return ""
    return evaluation.description or "the check gives no reason"
