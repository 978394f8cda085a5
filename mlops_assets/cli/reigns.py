"""Which version was champion when: the recorded promotions, the origin of their runs, each version's metric."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import dagster as dg

from mlops_assets.assets.shared.keys import TRIGGER, asset_key
from mlops_assets.cli.records import materialized
from mlops_assets.records.promotions import How, Promotion


@dataclass(frozen=True, kw_only=True)
class Reign:
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
    metric: str = ""
    value: float | None = None
    until: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON; moments are UTC, ISO 8601."""
        until = None if self.until is None else self.until.isoformat(timespec="seconds")
        return {**asdict(self), "since": self.since.isoformat(timespec="seconds"), "until": until}


def reigns_of(instance: dg.DagsterInstance, model: str, promotions: Sequence[Promotion]) -> list[Reign]:
    """Return the reigns, the newest first, from promotions that are sorted in the same way."""
    metrics = _metrics(instance, model)
    done = [each for each in promotions if each.done]
    reigns = [_reign(instance, model, each) for each in done]
    untils = [None, *(each.since for each in reigns)]
    return [_with_metric(replace(reign, until=until), metrics) for reign, until in zip(reigns, untils, strict=False)]


def _reign(instance: dg.DagsterInstance, model: str, promotion: Promotion) -> Reign:
    return Reign(
        number=promotion.number,
        version=promotion.version,
        since=datetime.fromisoformat(promotion.done),
        how=promotion.how,
        by=promotion.by,
        reason=promotion.reason,
        run_id=promotion.dagster_run_id,
        launched_by=_launched_by(instance, promotion.dagster_run_id),
        version_before=promotion.against,
        refit_of=promotion.as_version(model).refit_of or None,
    )


def _launched_by(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return what launched a run: a sensor or schedule with its trigger, or a person."""
    run = instance.get_run_by_id(run_id)
    if run is None:
        return "unknown: Dagster has no such run any more"
    why = f" ({run.tags[TRIGGER]})" if run.tags.get(TRIGGER) else ""
    for kind in ("sensor", "schedule"):
        if name := run.tags.get(f"dagster/{kind}_name"):
            return f"{kind} {name}{why}"
    person = f" by {run.tags['user']}" if run.tags.get("user") else ""
    return f"job {run.job_name}, launched by hand{person}{why}"


def _metrics(instance: dg.DagsterInstance, model: str) -> dict[int, tuple[str, float]]:
    """Return the first metric of each version."""
    found: dict[int, tuple[str, float]] = {}
    for each in materialized(instance, asset_key(model, "challenger")):
        version = each.metadata.get("version")
        if isinstance(version, int) and version not in found and (metric := _first_metric(each.metadata)):
            found[version] = metric
    return found


def _first_metric(told: Mapping[str, Any]) -> tuple[str, float] | None:
    names = [name for name in told if name.startswith("holdout_")]
    value = told[names[0]] if names else None
    return (names[0].removeprefix("holdout_"), float(value)) if isinstance(value, int | float) else None


def _with_metric(reign: Reign, metrics: Mapping[int, tuple[str, float]]) -> Reign:
    name, value = metrics.get(reign.refit_of or reign.version, ("", None))
    return replace(reign, metric=name, value=value)
