"""The decisions on a model, gathered from Dagster's events and the pack's records."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Literal

import dagster as dg

from mlops_assets.assets.promotion.registry_state import REGISTRY_INTACT
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.cli.dagster_events import Event, events, not_passed
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.reports import ReportKind

Kind = Literal["verdict", "retraining", "drift", "decay", "batch", "registry"]

_NUMBERS = ("improvement", "more_rows_to_settle", "low", "high", "p")
_EVIDENCE = ("comparison", "guards", "gates", "refit")
_PACK = "mlops_assets"
_WITHOUT_VERDICT = {"fitted": "not judged yet", "slow": "measured again", "refused": "refused"}


@dataclass(frozen=True)
class OnRecord:
    """One decision: what was decided about what, when, by whom, why, with the numbers and the rows of evidence.

    `run_id` is "" if a sensor decided. `evidence` holds a table for each kind of evidence, by its name.
    """

    at: datetime
    kind: Kind
    decision: str
    _: KW_ONLY
    about: str
    reason: str
    by: str = _PACK
    run_id: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)
    evidence: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)


def decisions(instance: dg.DagsterInstance, records: ModelRecords, last: int) -> list[OnRecord]:
    """Return the last decisions on a model, the newest first."""
    champion = asset_key(records.name, "champion")
    verdicts = list(islice(_verdicts(events(instance.fetch_materializations, champion)), last))
    on_record = [
        *verdicts,
        *_trainings(records, verdicts),
        *islice(_retraining(events(instance.fetch_observations, champion)), last),
        *_alarms(records, "drift", "drift"),
        *_alarms(records, "performance", "decay"),
        *_batches(records),
        *islice(_registry(not_passed(instance, champion, REGISTRY_INTACT)), last),
    ]
    return sorted(on_record, key=lambda decision: decision.at, reverse=True)[:last]


def _verdicts(materializations: Iterator[Event]) -> Iterator[OnRecord]:
    """Yield the decision of each run of the champion step."""
    for event in materializations:
        metadata = event.metadata
        if "verdict" in metadata:
            compared = {**metadata, **next(iter(metadata.get("comparison") or []), {})}
            numbers = {name: compared.get(name) for name in _NUMBERS}
            yield OnRecord(
                event.at,
                "verdict",
                _decision(metadata),
                about=f"version {metadata['judged_version']}",
                reason=str(metadata.get("reason", "")),
                by=str(metadata.get("decided_by", _PACK)),
                run_id=event.run_id,
                numbers={name: value for name, value in numbers.items() if isinstance(value, int | float)},
                evidence={name: metadata[name] for name in _EVIDENCE if metadata.get(name)},
            )


def _decision(metadata: Mapping[str, Any]) -> str:
    """Return the verdict; if the alias did not follow it, what the promotion waits for."""
    verdict, judged = str(metadata["verdict"]), metadata["judged_version"]
    if verdict != "promote" or judged in (metadata.get("version"), metadata.get("refit_of")):
        return verdict
    return "waits for approval" if metadata.get("waiting_for_approval") == judged else "promote, held"


def _trainings(records: ModelRecords, verdicts: list[OnRecord]) -> Iterator[OnRecord]:
    """Yield the trainings whose run ended before the champion step, or that Dagster no longer has."""
    runs, versions = {verdict.run_id for verdict in verdicts}, {verdict.about for verdict in verdicts}
    for training in records.trainings.all():
        about = f"version {training.version}" if training.version else f"training set {training.data_version[:12]}"
        if training.run_id in runs or (training.status == "judged" and about in versions):
            continue
        verdict = _WITHOUT_VERDICT.get(training.status, training.verdict)
        reason = training.reason or f"registered by run {training.run_id[:8]}, which ended before it was judged"
        yield OnRecord(training.moment, "verdict", verdict, about=about, reason=reason, run_id=training.run_id)


def _retraining(observations: Iterator[Event]) -> Iterator[OnRecord]:
    """Yield the decisions of the sensor or a schedule on a new training."""
    for event in observations:
        metadata = event.metadata
        if "decision_key" in metadata:
            champion = metadata.get("champion_version")
            yield OnRecord(
                event.at,
                "retraining",
                str(metadata["decision"]),
                about="no champion" if champion is None else f"champion version {champion}",
                reason=str(metadata["reason"]),
                run_id=event.run_id,
                numbers={name: metadata[name] for name in ("new_rows", "attempt") if name in metadata},
                evidence={"conditions": metadata.get("evidence") or []},
            )


def _alarms(records: ModelRecords, kind: ReportKind, alarm: Literal["drift", "decay"]) -> Iterator[OnRecord]:
    """Yield the alarm of each batch whose last report has one."""
    for batch, report in records.reports.all(kind).items():
        if report.verdict == alarm:
            yield OnRecord(
                datetime.fromisoformat(report.at),
                alarm,
                f"{alarm} alarm",
                about=f"batch {batch}, version {report.model_version}",
                reason=report.reason,
                run_id=report.run_id,
                numbers=report.figures,
            )


def _batches(records: ModelRecords) -> Iterator[OnRecord]:
    """Yield the batches that are not trained on: rejected, duplicates, or excluded by a person."""
    ledger = records.batches
    for batch, record in ledger.records().items():
        about = f"batch {batch}"
        if record.status != "accepted":
            at, reason = ledger.written(batch), "; ".join(record.reasons)
            yield OnRecord(at, "batch", record.status, about=about, reason=reason, run_id=record.run_id)
        if (excluded := record.excluded) is not None:
            at = ledger.excluded_at(batch)
            yield OnRecord(at, "batch", "excluded", about=about, reason=excluded.reason, by=excluded.by)


def _registry(evaluations: Iterator[Event]) -> Iterator[OnRecord]:
    """Yield the times when the alias or an artifact differed from the decision on record."""
    for event in evaluations:
        state, about = str(event.metadata.get("state", "failed")), f"alias: {event.metadata.get('alias', 'unknown')}"
        reason = event.metadata["description"]
        yield OnRecord(event.at, "registry", state, about=about, reason=reason, by="unknown")
