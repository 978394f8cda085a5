"""Segments that keep the champion's model, since the challenger's is not shown to be better for them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from mlops_assets.errors import TrainingError
from mlops_assets.lazy import np, pd
from mlops_assets.modelling.fleet.segment_names import NO_SEGMENT, segment_names
from mlops_assets.statistics.segment_gains import segment_gains
from mlops_assets.text import listed

if TYPE_CHECKING:
    from mlops_assets.modelling.fleet.model import FleetModel


def fleet_of(fitted: Any) -> FleetModel | None:
    """Return the fleet of a fitted Pipeline, None for a single model."""
    found: FleetModel | None = getattr(fitted, "named_steps", {}).get("fleet")
    return found


def keep_champions(challenger: FleetModel, champion: FleetModel, gains: Any, X: pd.DataFrame) -> FleetModel:
    """Return the challenger with the champion's model for each segment that does not gain.

    gains: the champion's loss less the challenger's (n,) on the rows `X` (n, columns) of a holdout, in order of time.
    Of the segments that take the challenger's model, at most `false_share` are expected not to gain. A segment without
    enough rows for a test keeps the champion's: the pooled one, if the champion has never seen it. Rows without a
    segment are tested as one. So on these rows the result differs from the champion only by what has passed, and the
    comparison of the whole, on the same rows, promotes no fleet by chance more often than something passes by chance.
    """
    names = segment_names(X, challenger.by)
    segments = sorted({*names, *challenger.segments_, *champion.segments_, *champion.route_})
    number = pd.Index(segments, dtype=object).get_indexer(names)
    found = segment_gains(np.asarray(gains), number, len(segments), challenger.seed)
    gained = found.passed(challenger.false_share)
    stay = [name for name, passed in zip(segments, gained, strict=True) if not passed]
    result = _routed(challenger, _owners(champion, stay))
    at = [position for position, name in enumerate(segments) if name != NO_SEGMENT]
    evidence = {"gain": found.mean, "p": found.p, "adjusted": found.adjusted}
    named = {"segments": [segments[position] for position in at]}
    result.against_ = named | {name: values[at] for name, values in evidence.items()}
    return result


def _owners(fleet: FleetModel, names: Iterable[str]) -> list[tuple[FleetModel, list[str]]]:
    """Return which fleets have the models that a fleet has for these segments: itself, or those that it keeps."""
    by_place: dict[int, list[str]] = {}
    for name in names:
        by_place.setdefault(fleet.route_.get(name, -1), []).append(name)
    return [(fleet if place < 0 else fleet.kept_[place], of_place) for place, of_place in by_place.items()]


def _routed(fleet: FleetModel, owners: list[tuple[FleetModel, list[str]]]) -> FleetModel:
    """Return a fleet that has the models of these other fleets for their segments, and its own for all others."""
    result = copy.copy(fleet)
    result.kept_ = [_only(owner, names) for owner, names in owners]
    result.route_ = {name: place for place, (_, names) in enumerate(owners) for name in names}
    result.models_ = {name: model for name, model in fleet.models_.items() if name not in result.route_}
    return result


def _only(fleet: FleetModel, names: list[str]) -> FleetModel:
    """Return a fleet with the models of these segments alone, and no earlier fleets."""
    part = copy.copy(fleet)
    part.models_ = {name: fleet.models_[name] for name in names if name in fleet.models_}
    part.kept_, part.route_, part.against_, part.failed_ = [], {}, {}, {}
    return part


def take_back(champion: FleetModel, former: FleetModel, names: Sequence[str]) -> FleetModel:
    """Return the champion with the former fleet's model, own or pooled, for each of these segments.

    Raises `TrainingError` that names the segments which the former fleet has never seen.
    """
    known = {*former.segments_, *former.route_}
    if unknown := sorted(set(names) - known):
        raise TrainingError(f"segments {listed(unknown)} are not in the former version: it has {len(known):,} others")
    stay = [name for name in champion.route_ if name not in names]
    return _routed(champion, [*_owners(champion, stay), *_owners(former, dict.fromkeys(names))])
