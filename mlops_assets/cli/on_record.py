"""The decisions on a model, gathered from Dagster's events and the pack's records."""

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, asdict, dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Literal

import dagster as dg

from mlops_assets.assets.promotion.registry_state import REGISTRY_INTACT
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.cli.records import Record, materialized, not_passed, observed
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.reports import ReportKind

Kind = Literal["verdict", "retraining", "drift", "decay", "batch", "registry"]

_NUMBERS = ("improvement", "more_rows_to_settle")
_COMPARED = ("low", "high", "p")
_PACK = "mlops_assets"
_WITHOUT_VERDICT = {"fitted": "not judged yet", "slow": "to be measured again", "refused": "refused"}


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

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; `at` is UTC, ISO 8601."""
        return {**asdict(self), "at": self.at.isoformat(timespec="seconds")}


def decisions(instance: dg.DagsterInstance, records: ModelRecords, last: int) -> list[OnRecord]:
    """Return the last decisions on a model, the newest first."""
    champion = asset_key(records.name, "champion")
    verdicts = list(islice(_verdicts(materialized(instance, champion)), last))
    found = [
        *verdicts,
        *_trainings(records, verdicts),
        *islice(_retraining(observed(instance, champion)), last),
        *_alarms(records, "drift", "drift"),
        *_alarms(records, "performance", "decay"),
        *_batches(records),
        *islice(_registry(not_passed(instance, champion, REGISTRY_INTACT)), last),
    ]
    return sorted(found, key=lambda each: each.at, reverse=True)[:last]


def _verdicts(records: Iterator[Record]) -> Iterator[OnRecord]:
    """Yield the decision of each run of the champion step."""
    for each in records:
        told = each.metadata
        if "verdict" in told:
            compared: list[dict[str, Any]] = told.get("comparison") or []
            known = {**told, **(compared[0] if compared else {})}
            yield OnRecord(
                each.at,
                "verdict",
                _decision(told),
                about=f"version {told['judged_version']}",
                reason=str(told.get("reason", "")),
                by=str(told.get("decided_by", _PACK)),
                run_id=each.run_id,
                numbers={
                    name: known[name] for name in (*_NUMBERS, *_COMPARED) if isinstance(known.get(name), int | float)
                },
                evidence={name: told[name] for name in ("comparison", "guards", "gates", "refit") if told.get(name)},
            )


def _decision(told: Mapping[str, Any]) -> str:
    """Return the verdict; if the alias did not follow it, what the promotion waits for."""
    if told["verdict"] != "promote" or told["judged_version"] in (told.get("version"), told.get("refit_of")):
        return str(told["verdict"])
    return "waits for approval" if told.get("waiting_for_approval") == told["judged_version"] else "promote, held"


def _trainings(records: ModelRecords, verdicts: list[OnRecord]) -> Iterator[OnRecord]:
    """Yield the trainings whose run ended before the champion step, or that Dagster no longer has."""
    runs, versions = {each.run_id for each in verdicts}, {each.about for each in verdicts}
    for each in records.trainings.all():
        about = f"version {each.version}" if each.version else f"training set {each.data_version[:12]}"
        if each.run_id in runs or (each.status == "judged" and about in versions):
            continue
        verdict = {"fitted": "not judged yet", "slow": "measured again", "refused": "refused"}.get(
            each.status, each.verdict
        )
        reason = each.reason or f"registered by run {each.run_id[:8]}, which ended before it was judged"
        yield OnRecord(
            datetime.fromisoformat(each.at), "verdict", verdict, about=about, reason=reason, run_id=each.run_id
        )


def _retraining(records: Iterator[Record]) -> Iterator[OnRecord]:
    """Yield the decisions of the sensor or a schedule on a new training."""
    for each in records:
        told = each.metadata
        if "decision_key" in told:
            yield OnRecord(
                each.at,
                "retraining",
                str(told["decision"]),
                about=f"champion version {told['champion_version']}" if "champion_version" in told else "no champion",
                reason=str(told["reason"]),
                run_id=each.run_id,
                numbers={name: told[name] for name in ("new_rows", "attempt") if name in told},
                evidence={"conditions": told.get("evidence") or []},
            )


def _alarms(records: ModelRecords, reports: ReportKind, alarm: Literal["drift", "decay"]) -> Iterator[OnRecord]:
    """Yield the alarm of each batch whose last report has one."""
    for batch, each in records.reports.all(reports).items():
        if each.verdict == alarm:
            yield OnRecord(
                datetime.fromisoformat(each.at),
                alarm,
                f"{alarm} alarm",
                about=f"batch {batch}, version {each.model_version}",
                reason=each.reason,
                run_id=each.run_id,
                numbers=each.figures,
            )


def _batches(records: ModelRecords) -> Iterator[OnRecord]:
    """Yield the batches that are not trained on: rejected, duplicates, or excluded by a person."""
    ledger = records.batches
    for batch, each in ledger.records().items():
        if each.status != "accepted":
            reason = "; ".join(each.reasons)
            yield OnRecord(
                ledger.written(batch), "batch", each.status, about=f"batch {batch}", reason=reason, run_id=each.run_id
            )
        if each.excluded is not None:
            excluded = each.excluded
            yield OnRecord(
                ledger.excluded_at(batch),
                "batch",
                "excluded",
                about=f"batch {batch}",
                reason=excluded.reason,
                by=excluded.by,
            )


def _registry(records: Iterator[Record]) -> Iterator[OnRecord]:
    """Yield the times when the alias or an artifact differed from the decision on record."""
    for each in records:
        told = each.metadata
        about = f"alias: {told.get('alias', 'unknown')}"
        yield OnRecord(
            each.at, "registry", str(told.get("state", "failed")), about=about, reason=told["description"], by="unknown"
        )
