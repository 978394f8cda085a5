"""Segments that keep the champion's model, since the challenger's is not shown to be better for them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
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
    served: dict[int, list[str]] = {}
    for name, passed in zip(segments, gained, strict=True):
        if not passed:
            served.setdefault(champion.route_.get(name, -1), []).append(name)
    result = copy.copy(challenger)
    result.kept_ = [_only(_fleet(champion, number), names) for number, names in served.items()]
    result.route_ = {name: place for place, names in enumerate(served.values()) for name in names}
    at = [position for position, name in enumerate(segments) if name != NO_SEGMENT]
    evidence = {"gain": found.mean, "p": found.p, "adjusted": found.adjusted}
    named = {"segments": [segments[position] for position in at]}
    result.against_ = named | {name: values[at] for name, values in evidence.items()}
    result.models_ = {name: model for name, model in challenger.models_.items() if name not in result.route_}
    return result


def _fleet(champion: FleetModel, number: int) -> FleetModel:
    kept: FleetModel = champion if number < 0 else champion.kept_[number]
    return kept


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
    back: dict[int, list[str]] = {}
    for name in dict.fromkeys(names):
        back.setdefault(former.route_.get(name, -1), []).append(name)
    stay: dict[int, list[str]] = {}
    for name, number in champion.route_.items():
        if name not in names:
            stay.setdefault(number, []).append(name)
    served = [
        *((champion.kept_[number], of_part) for number, of_part in stay.items()),
        *((_fleet(former, number), of_part) for number, of_part in back.items()),
    ]
    result = copy.copy(champion)
    result.kept_ = [_only(fleet, of_part) for fleet, of_part in served]
    result.route_ = {name: place for place, (_, of_part) in enumerate(served) for name in of_part}
    result.models_ = {name: model for name, model in champion.models_.items() if name not in result.route_}
    return result
