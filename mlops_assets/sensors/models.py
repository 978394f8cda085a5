"""The models of the code location that a sensor or schedule runs in, and their runs that are under way."""

from collections.abc import Mapping

import dagster as dg

from mlops_assets.assets.shared.keys import KIND, MODEL, declared
from mlops_assets.declaration import Declaration

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
FAILED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]


def models_of(context: dg.SensorEvaluationContext | dg.ScheduleEvaluationContext) -> list[Declaration]:
    """Return the models whose assets are in the sensor's code location, in order of name."""
    assert context.repository_def is not None  # a sensor of a code location has a repository
    return models_in(context.repository_def)


def models_in(repository: dg.RepositoryDefinition) -> list[Declaration]:
    """Return the models whose assets are in a code location, in order of name."""
    specs = (spec for asset in repository.assets_defs_by_key.values() for spec in asset.specs)
    return [declared(name) for name in sorted({spec.metadata[MODEL] for spec in specs if MODEL in spec.metadata})]


def under_way(instance: dg.DagsterInstance, kind: str) -> dict[str, list[dg.DagsterRun]]:
    """Return the queued or running runs of a kind (`batch`, `training`, ...) by model; one query for all models."""
    found: dict[str, list[dg.DagsterRun]] = {}
    for run in instance.get_runs(dg.RunsFilter(tags={KIND: kind}, statuses=UNFINISHED)):
        found.setdefault(run.tags.get(MODEL, ""), []).append(run)
    return found


def failed(instance: dg.DagsterInstance, tags: Mapping[str, str], limit: int = 50) -> list[dg.RunRecord]:
    """Return the runs with all these tags that failed or were cancelled, the newest first."""
    return list(instance.get_run_records(dg.RunsFilter(tags=dict(tags), statuses=FAILED), limit=limit))
