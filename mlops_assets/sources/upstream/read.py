"""One batch of an `UpstreamAsset` read."""

from __future__ import annotations

from mlops_assets.errors import SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources import UpstreamAsset
from mlops_assets.sources.keys import safe_key
from mlops_assets.sources.rows import checked, divided
from mlops_assets.sources.upstream.look import is_materialization, key_of
from mlops_assets.sources.upstream.value import load


def read(source: UpstreamAsset, key: str) -> pd.DataFrame:
    """Return all rows of a batch."""
    frame = load(source, _partition(source, key))
    if source.period is None:
        return checked(source, frame).reset_index(drop=True)
    for period, rows in divided(source, frame, source.period):
        if period == key:
            return rows
    raise SourceError("has no rows any more. Put them back, or give up the batch")


def _partition(source: UpstreamAsset, key: str) -> str | None:
    """Return the partition that a batch is; None where the asset has none. SourceError where it is gone."""
    newest = source.assets.newest(source.key)
    if source.period is not None and newest is not None:
        return None
    partitions = [partition for partition in source.assets.materialised(source.key) if key == safe_key(partition)]
    if len(partitions) == 1:
        return partitions[0]
    if newest is None or not is_materialization(key):
        raise SourceError("is not a materialised partition. Materialise it, or give the batch up")
    if key != (latest := key_of(newest)):
        raise SourceError(
            f"has been replaced: the asset was materialised anew as {latest!r}, and keeps the newest only. Give the "
            "batch up; partition the asset, or declare period, to keep the past"
        )
    return None
