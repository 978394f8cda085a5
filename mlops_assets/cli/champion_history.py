"""Which version was champion when: the recorded promotions, the origin of their runs, each version's metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import dagster as dg

from mlops_assets.assets.shared.keys import TRIGGER, asset_key
from mlops_assets.cli.dagster_events import events
from mlops_assets.records.promotions import How, Promotion


@dataclass(frozen=True, kw_only=True)
class ChampionPeriod:
    """A version as champion from `since` until `until` (None: still champion).

    `by` is a person or the pack, `launched_by` what launched the run. `metric` and `value` come from the version's own
    holdout at its training; for a refit, from the judged version, which `refit_of` names.
    """

    number: int
    version: int
    since: datetime
    how: How
    by: str
    reason: str
    run_id: str
    launched_by: str
    version_before: int | None
    refit_of: int | None
    metric: str
    value: float | None
    until: datetime | None


def champion_periods(instance: dg.DagsterInstance, model: str, promotions: Sequence[Promotion]) -> list[ChampionPeriod]:
    """Return the periods, the newest first, from promotions that are sorted in the same way."""
    metrics, until, periods = _metrics(instance, model), None, []
    for promotion in promotions:
        if promotion.done:
            refit_of = promotion.as_version(model).refit_of or None
            metric, value = metrics.get(refit_of or promotion.version, ("", None))
            period = ChampionPeriod(
                number=promotion.number,
                version=promotion.version,
                since=datetime.fromisoformat(promotion.done),
                how=promotion.how,
                by=promotion.by,
                reason=promotion.reason,
                run_id=promotion.dagster_run_id,
                launched_by=_launched_by(instance, promotion.dagster_run_id),
                version_before=promotion.against,
                refit_of=refit_of,
                metric=metric,
                value=value,
                until=until,
            )
            periods.append(period)
            until = period.since
    return periods


def _launched_by(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return what launched a run: a sensor or schedule with its trigger, or a person."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return "unknown: Dagster has no such run any more"
    trigger = f" ({run.tags[TRIGGER]})" if run.tags.get(TRIGGER) else ""
    for kind in ("sensor", "schedule"):
        if name := run.tags.get(f"dagster/{kind}_name"):
            return f"{kind} {name}{trigger}"
    person = f" by {run.tags['user']}" if run.tags.get("user") else ""
    return f"job {run.job_name}, launched by hand{person}{trigger}"


def _metrics(instance: dg.DagsterInstance, model: str) -> dict[int, tuple[str, float]]:
    """Return the first metric of each version, by its newest training."""
    metrics: dict[int, tuple[str, float]] = {}
    for event in events(instance.fetch_materializations, asset_key(model, "challenger")):
        version = event.metadata.get("version")
        name = next((name for name in event.metadata if name.startswith("holdout_")), "")
        if isinstance(version, int) and isinstance(value := event.metadata.get(name), int | float):
            metrics.setdefault(version, (name.removeprefix("holdout_"), float(value)))
    return metrics
