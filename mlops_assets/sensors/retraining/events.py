"""A retraining decision as Dagster keeps it: an observation on the champion, and the request for a run if it fires."""

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
from mlops_assets.text import inert

_KEY, _MOST_SHOWN = "decision_key", 20


def observation(
    instance: dg.DagsterInstance, model: str, decision: RetrainingDecision, evidence: Evidence, now: datetime
) -> dg.AssetObservation:
    """The decision with all that it was made from, and the decisions before it, as tables."""
    facts = {
        "decision": decision.verdict,
        "reason": decision.reason,
        "asked_by": ", ".join(decision.triggers) or "nothing",
        "held_back_by": ", ".join(decision.holds) if decision.triggers and decision.holds else None,
    }
    this = {"at": f"{now:%Y-%m-%d %H:%M:%S}", "decision": decision.verdict, "reason": decision.reason}
    return dg.AssetObservation(
        asset_key(model, "champion"),
        description=inert(f"Retraining: {decision.verdict}. {decision.reason}"),
        metadata={
            **metadata(facts),
            "evidence": table(decision.table()),
            "decisions": table([this, *_before(instance, model)]),
            **metadata(
                {
                    "champion_version": evidence.champion,
                    "new_rows": evidence.new_rows,
                    "data_version": evidence.data_version,
                    "attempt": evidence.failures + 1 if decision.fire else None,
                }
            ),
            _KEY: decision.key,
        },
    )


def recorded_before(instance: dg.DagsterInstance, model: str, decision: RetrainingDecision) -> bool:
    """Whether the newest decision on record is this one: a daemon may die after recording it, before its cursor."""
    newest = _decisions(instance, model, 1)
    return bool(newest) and newest[0].metadata[_KEY].value == decision.key


def training_request(
    instance: dg.DagsterInstance, model: str, decision: RetrainingDecision, evidence: Evidence
) -> dg.RunRequest:
    """A run of the model's training. The attempt is in its key: Dagster never repeats the key of a run.

    All runs that were asked for on this data count, also one that found other data when it began, or failed long ago.
    """
    what = {
        MODEL: model,
        KIND: "training",
        DATA_VERSION: str(evidence.data_version),
        DECLARATION_VERSION: evidence.declaration_version,
    }
    attempt = str(instance.get_runs_count(dg.RunsFilter(tags=what)) + 1)
    return dg.RunRequest(
        run_key=f"{model}/{evidence.data_version}/{evidence.declaration_version}/{attempt}",
        asset_selection=[asset_key(model, kind) for kind in TRAINING_ASSETS],
        tags={
            **what,
            TRIGGER: ", ".join(decision.triggers),
            ATTEMPT: attempt,
            "dagster/max_retries": "0",  # the next tick tries again, and knows what was tried
        },
    )


def _decisions(instance: dg.DagsterInstance, model: str, limit: int) -> list[dg.AssetObservation]:
    """The newest decisions on record; other observations of the champion are none."""
    records = instance.fetch_observations(asset_key(model, "champion"), limit=limit + _MOST_SHOWN).records
    found = [record.asset_observation for record in records if record.asset_observation is not None]
    return [each for each in found if _KEY in each.metadata][:limit]


def _before(instance: dg.DagsterInstance, model: str) -> list[dict[str, Any]]:
    """The rows of the table in the newest decision are those of all decisions before it."""
    newest = _decisions(instance, model, 1)
    rows = newest[0].metadata.get("decisions") if newest else None
    return (
        [dict(row.data) for row in rows.records][: _MOST_SHOWN - 1] if isinstance(rows, dg.TableMetadataValue) else []
    )
