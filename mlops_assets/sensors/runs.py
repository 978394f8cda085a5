"""The runs of models: those under way, and those that failed."""

from collections.abc import Iterable
from datetime import UTC, datetime

import dagster as dg

from mlops_assets.assets.shared.keys import KIND, MODEL

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
PARTITION = "dagster/partition"
"""Dagster's own tag of the partition that a run is for."""
NO_RETRIES = {"dagster/max_retries": "0"}
"""The next tick tries again, and knows the attempts."""
FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def runs_under_way(instance: dg.DagsterInstance, kind: str) -> dict[str, list[dg.DagsterRun]]:
    """Return the queued or running runs of a kind (`batch`, `training`, ...) by model; one query for all models."""
    records = by_model(instance.get_run_records(dg.RunsFilter(tags={KIND: kind}, statuses=UNFINISHED)))
    return {model: [record.dagster_run for record in group] for model, group in records.items()}


def by_model(records: Iterable[dg.RunRecord]) -> dict[str, list[dg.RunRecord]]:
    """Return the runs by model, each list in the given order."""
    runs: dict[str, list[dg.RunRecord]] = {}
    for record in records:
        runs.setdefault(record.dagster_run.tags.get(MODEL, ""), []).append(record)
    return runs


def ended_at(record: dg.RunRecord) -> datetime:
    """Return when a run ended; when it was last updated if Dagster has no end of it."""
    return datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
