"""Who was champion when: put together from Dagster's events, the registry's tags and the record of the champion."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Literal

import dagster as dg

from mlops_assets.assets.shared.keys import TRIGGER, asset_key
from mlops_assets.cli.records import Record, materialized
from mlops_assets.resources.champion_record import ChampionRecord
from mlops_assets.resources.mlflow.model_version import ModelVersion

How = Literal["promotion", "rollback", "approval", "by hand", "unknown"]

_STARTS: dict[str, How] = {"rollback: ": "rollback", "approved: ": "approval", "by hand: ": "by hand"}
_STEP = timedelta(minutes=10)
"""The longest that the champion step takes from its tags to its event in Dagster."""


@dataclass(frozen=True)
class Reign:
    """A version as champion from `since` until `until` (None: still).

    `by` is a person or the pack, `launched_by` what launched the run; `known_from` says which record tells of it.
    `metric` and `value` are of the version's own holdout, from when it was trained; those of a refit are of the version
    that was judged, which `refit_of` names.
    """

    version: int
    since: datetime
    how: How
    by: str
    reason: str
    known_from: Literal["dagster", "registry", "record"]
    run_id: str = ""
    launched_by: str = "unknown"
    version_before: int | None = None
    metric: str = ""
    value: float | None = None
    until: datetime | None = None
    refit_of: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON; moments are UTC, ISO 8601."""
        until = None if self.until is None else self.until.isoformat(timespec="seconds")
        return {**asdict(self), "since": self.since.isoformat(timespec="seconds"), "until": until}


@dataclass(frozen=True)
class Reigns:
    """All reigns on record, the newest first, and how many promotions are on record nowhere: they are numbered."""

    reigns: tuple[Reign, ...]
    lost: int


def reigns_of(
    instance: dg.DagsterInstance, model: str, versions: Sequence[ModelVersion], record: ChampionRecord | None
) -> Reigns:
    """Who was champion when; `versions` are those of the registry, none where it does not answer."""
    events = list(materialized(instance, asset_key(model, "champion")))[::-1]
    told = _of_dagster(instance, events)
    kept = [*_of_registry(versions), *_of_record(record)]
    for each in kept:
        if not _known(each, told):
            told.append(each)
    told = _without_found_again(sorted(told, key=lambda each: each.since))
    ended = [replace(each, until=later.since) for each, later in pairwise(told)] + told[-1:]
    metrics = _metrics(instance, model)
    promotions = sum(_moved(each) for each in events) + sum(each.known_from != "dagster" for each in told)
    numbers = [each.promotion for each in versions] + ([record.as_version(model).promotion] if record else [])
    lost = max(0, max(numbers, default=0) - promotions)
    return Reigns(tuple(_with_metric(each, metrics) for each in reversed(ended)), lost)


def _of_dagster(instance: dg.DagsterInstance, events: Sequence[Record]) -> list[Reign]:
    """A reign begins with each event after which another version is champion than after the one before it."""
    found: list[Reign] = []
    before: tuple[Any, Any] | None = None
    for each in events:
        version, digest = (each.metadata.get(name) for name in ("version", "digest"))
        if version is None or before == (version, digest):
            continue
        before = (version, digest)
        found.append(_promoted(instance, each, version) if _moved(each) else _found(each, version))
    return found


def _moved(event: Record) -> bool:
    """Whether the step moved the alias: then the version that it judged is champion after it, or its refit."""
    told = event.metadata
    champion = (told.get("version"), told.get("refit_of"))
    return told.get("verdict") == "promote" and told.get("judged_version") in champion


def _promoted(instance: dg.DagsterInstance, event: Record, version: int) -> Reign:
    told = event.metadata
    return Reign(
        version,
        event.at,
        _how(told["reason"]),
        told["decided_by"],
        told["reason"],
        "dagster",
        event.run_id,
        _launched_by(instance, event.run_id),
        told.get("version_before"),
        refit_of=told.get("refit_of"),
    )


def _found(event: Record, version: int) -> Reign:
    reason = "found in force by a run that did not promote it; since when and by whom is not on record"
    of = event.metadata.get("refit_of")
    return Reign(version, event.at, "unknown", "unknown", reason, "dagster", event.run_id, refit_of=of)


def _of_registry(versions: Iterable[ModelVersion]) -> list[Reign]:
    """What the tags of versions tell: of each version the last promotion."""
    found = []
    for each in versions:
        tags = each.tags
        if each.promotion and tags.get("verdict") == "promote" and tags.get("decided_at"):
            since, reason = datetime.fromisoformat(tags["decided_at"]), tags.get("reason", "")
            before = int(tags["compared_with"]) if tags.get("compared_with") else None
            by = tags.get("decided_by", "unknown")
            reign = Reign(each.version, since, _how(reason), by, reason, "registry", version_before=before)
            found.append(replace(reign, refit_of=each.refit_of or None))
    return found


def _of_record(record: ChampionRecord | None) -> list[Reign]:
    if record is None or not record.since:
        return []
    since = datetime.fromisoformat(record.since)
    of = record.as_version("").refit_of or None
    return [Reign(record.version, since, _how(record.reason), record.by, record.reason, "record", refit_of=of)]


def _known(reign: Reign, told: Iterable[Reign]) -> bool:
    return any(each.version == reign.version and abs(each.since - reign.since) < _STEP for each in told)


def _without_found_again(told: Sequence[Reign]) -> list[Reign]:
    """What was only found in force is no reign of its own where the one before it is of the same version."""
    pairs = zip((None, *told), told, strict=False)
    return [each for before, each in pairs if each.how != "unknown" or before is None or before.version != each.version]


def _how(reason: str) -> How:
    return next((how for start, how in _STARTS.items() if reason.startswith(start)), "promotion")


def _launched_by(instance: dg.DagsterInstance, run_id: str) -> str:
    """What launched a run: a sensor or schedule with what it answered, or somebody by hand."""
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
    """The first metric of each version."""
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
