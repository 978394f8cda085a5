"""Which batches of an `UpstreamAsset` are ready: what was materialised."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from mlops_assets.errors import DeclarationError, SourceUnavailableError
from mlops_assets.lazy import pd
from mlops_assets.sources import Look, Period, UpstreamAsset, Waiting
from mlops_assets.sources.assets import Materialization
from mlops_assets.sources.data_version import data_version
from mlops_assets.sources.keys import safe_key
from mlops_assets.sources.periods import ready_periods
from mlops_assets.sources.raised import alternatives
from mlops_assets.sources.rows import divided
from mlops_assets.sources.upstream.value import load
from mlops_assets.text import natural_order

_MATERIALIZATION = re.compile(r"\d{8}T\d{6}-[0-9a-z]{1,20}\Z", re.ASCII)
_REPLACED = "replaced"

_Divided = tuple[Materialization, dict[str, str]]
_DIVIDED: dict[tuple[str, ...], _Divided] = {}
"""The periods of the newest materialisation of each asset that a sensor of this process loaded, and their marks."""


def look(source: UpstreamAsset, seen: Mapping[str, str] | None, now: pd.Timestamp) -> Look:
    """Return which batches an asset gives; their marks change with each materialisation.

    Nothing is loaded, except with `period` where the asset was materialised anew.
    """
    assets, seen = source.assets, seen or {}
    newest, defined = assets.newest(source.key), assets.is_defined(source.key)
    if newest is None:
        if not defined:
            raise SourceUnavailableError(
                "there is no such asset in this code location, and none was ever materialised in another"
                f"{alternatives(source.key, assets.keys(), 'assets')}. Correct the key, or declare the asset"
            )
        return Look({}, (Waiting(source.key, "was never materialised"),))
    partitions = assets.partitions(source.key) if defined else None
    marks = assets.materialised(source.key)
    if partitions is not None or (marks and not defined):
        if source.period is not None:
            raise DeclarationError("is partitioned, and each partition is a batch. Leave out period")
        ordered = sorted(marks, key=natural_order) if partitions is None else filter(marks.__contains__, partitions)
        return _look_at_partitions({partition: marks[partition] for partition in ordered})
    if source.period is not None:
        return _look_at_periods(source, newest, source.period, now)
    latest = key_of(newest)
    replaced = [key for key in seen if is_materialization(key) and key != latest]
    ready = {key: seen[key] or _REPLACED for key in sorted(replaced)}
    return Look({**ready, latest: str(newest.storage_id)})


def key_of(newest: Materialization) -> str:
    """Return the batch key of a materialisation of an asset without partitions."""
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime(newest.timestamp))
    return f"{moment}-{newest.run_id[:8] or newest.storage_id}"


def is_materialization(key: str) -> bool:
    """Return whether a batch key is one that `key_of` returns."""
    return bool(_MATERIALIZATION.match(key))


def _look_at_partitions(marks: Mapping[str, str]) -> Look:
    ready: dict[str, str] = {}
    clashes = []
    for partition, mark in marks.items():
        key = safe_key(partition)
        if key in ready:
            clashes.append(Waiting(partition, f"its key {key!r} is that of another partition; rename it"))
        else:
            ready[key] = mark
    return Look(ready, tuple(clashes))


def _look_at_periods(source: UpstreamAsset, newest: Materialization, period: Period, now: pd.Timestamp) -> Look:
    place = (source.key, period, str(source.time))
    materialization, marks = _DIVIDED.get(place, (None, {}))
    if materialization != newest:
        marks = {key: data_version(rows) for key, rows in divided(source, load(source, None), period)}
        _DIVIDED[place] = newest, marks
    return Look(*ready_periods(marks, period, now))
