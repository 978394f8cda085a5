"""A retraining decision in Dagster: an observation on the champion, and a request for a run if it fires."""

from datetime import datetime
from typing import Any

import dagster as dg

from mlops_assets.assets.shared.keys import (
    ATTEMPT,
    DATA_VERSION,
    DECLARATION_VERSION,
    KIND,
    MODEL,
    TRAINING_ASSETS,
    TRIGGER,
    asset_key,
)
from mlops_assets.assets.shared.metadata import metadata, table
from mlops_assets.decisions.retraining.decide import RetrainingDecision
from mlops_assets.decisions.retraining.evidence import Evidence
from mlops_assets.sensors.runs import NO_RETRIES
from mlops_assets.text import inert

_KEY, _MOST_SHOWN = "decision_key", 20


def observation(
    instance: dg.DagsterInstance, model: str, decision: RetrainingDecision, evidence: Evidence, now: datetime
) -> dg.AssetObservation:
    """Return an observation with the decision, its evidence and the earlier decisions, as tables."""
    facts = {
        "decision": decision.verdict,
        "reason": decision.reason,
        "asked_by": ", ".join(decision.triggers) or "nothing",
        "held_back_by": ", ".join(decision.holds) if decision.triggers and decision.holds else None,
        "champion_version": evidence.champion,
        "new_rows": evidence.new_rows,
        "data_version": evidence.data_version,
        "attempt": evidence.failures + 1 if decision.fire else None,
    }
    this = {"at": f"{now:%Y-%m-%d %H:%M:%S}", "decision": decision.verdict, "reason": decision.reason}
    return dg.AssetObservation(
        asset_key(model, "champion"),
        description=inert(f"Retraining: {decision.verdict}. {decision.reason}"),
        metadata={
            **metadata(facts),
            "evidence": table(decision.table()),
            "decisions": table([this, *_before(instance, model)]),
            _KEY: decision.key,
        },
    )


def recorded_before(instance: dg.DagsterInstance, model: str, decision: RetrainingDecision) -> bool:
    """Return whether this decision is the newest on record: a daemon may die between recording it and its cursor."""
    newest = _newest(instance, model)
    return newest is not None and newest.metadata[_KEY].value == decision.key


def training_request(
    instance: dg.DagsterInstance, model: str, decision: RetrainingDecision, evidence: Evidence
) -> dg.RunRequest:
    """Return a request for the model's training. Its key holds the attempt: Dagster never repeats the key of a run.

    All requested runs on this data count, also runs that began with other data or failed long ago.
    """
    data = {
        MODEL: model,
        KIND: "training",
        DATA_VERSION: str(evidence.data_version),
        DECLARATION_VERSION: evidence.declaration_version,
    }
    attempt = str(instance.get_runs_count(dg.RunsFilter(tags=data)) + 1)
    return dg.RunRequest(
        run_key=f"{model}/{evidence.data_version}/{evidence.declaration_version}/{attempt}",
        asset_selection=[asset_key(model, kind) for kind in TRAINING_ASSETS],
        tags={**data, TRIGGER: ", ".join(decision.triggers), ATTEMPT: attempt, **NO_RETRIES},
    )


def _newest(instance: dg.DagsterInstance, model: str) -> dg.AssetObservation | None:
    """Return the newest decision on record; other observations of the champion are skipped."""
    records = instance.fetch_observations(asset_key(model, "champion"), limit=_MOST_SHOWN + 1).records
    events = (record.asset_observation for record in records)
    return next((event for event in events if event is not None and _KEY in event.metadata), None)


def _before(instance: dg.DagsterInstance, model: str) -> list[dict[str, Any]]:
    """Return the rows of the newest decision's table: itself and all decisions before it."""
    newest = _newest(instance, model)
    rows = None if newest is None else newest.metadata.get("decisions")
    if not isinstance(rows, dg.TableMetadataValue):
        return []
    return [dict(row.data) for row in rows.records[: _MOST_SHOWN - 1]]
