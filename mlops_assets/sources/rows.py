"""What holds for the rows of every source: divided by period, times as times, and no more than is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_assets.errors import SourceError
from mlops_assets.lazy import np, pd
from mlops_assets.sources import Period, Source
from mlops_assets.sources.data_version import row_hashes
from mlops_assets.sources.keys import SAFE, is_safe
from mlops_assets.sources.periods import period_keys
from mlops_assets.sources.times import parse_times

_SMALLER = "Make the batches smaller"


def divided(source: Source, frame: Any, period: Period) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each period of a frame, with its key."""
    if not isinstance(frame, pd.DataFrame):
        raise SourceError(f"returned a {type(frame).__name__}; expected a DataFrame")
    source.limits.check(*frame.shape, _SMALLER)
    time = str(source.time)
    if time not in frame:
        hint = ". It is the index: call reset_index()" if frame.index.name == time else ""
        raise SourceError(f"has no column {time!r}; found {list(frame.columns)[:8]!r:.200}{hint}")
    times = parse_times(frame[time])
    if bool(times.isna().any()):
        raise SourceError(
            f"column {time!r} is missing in {int(times.isna().sum()):,} rows; expected a time in every row, to divide "
            "them by"
        )
    keys = period_keys(times, period)
    whole = frame.assign(**{time: times})
    for key in sorted(set(keys)):
        yield key, whole[keys == key].reset_index(drop=True)


def checked(source: Source, batch: pd.DataFrame) -> pd.DataFrame:
    """Return a batch that its source allows, with its column of time as datetimes where it has it."""
    source.limits.check(*batch.shape, _SMALLER)
    if source.time is None or source.time not in batch:
        return batch
    return batch.assign(**{source.time: parse_times(batch[source.time])})


def in_order(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the rows in order of a column; where it is equal, in an order that the same rows always have."""
    order = np.lexsort((row_hashes(frame), frame[column].to_numpy()))
    return frame.iloc[order].reset_index(drop=True)


def require_safe(key: str) -> None:
    """Raise SourceError unless the key is safe as path and partition key."""
    if not is_safe(key):
        raise SourceError(f"key {key!r:.80} is unsafe; expected {SAFE}. Yield another key")
