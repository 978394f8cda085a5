"""What holds for the rows of every source: divided by period, times as times, and no more than is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from mlops_assets.by_column import ByColumn, Derived
from mlops_assets.errors import SourceError
from mlops_assets.lazy import np, pd
from mlops_assets.sources import Period, Source
from mlops_assets.sources.data_version import row_hashes, row_hashes_by_column
from mlops_assets.sources.keys import SAFE, is_safe
from mlops_assets.sources.periods import period_keys
from mlops_assets.sources.times import parse_times

AnyFrame = TypeVar("AnyFrame", "pd.DataFrame", ByColumn)

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


def in_order(frame: AnyFrame, column: str) -> AnyFrame:
    """Return the rows in order of a column; where it is equal, in an order that the same rows always have."""
    hashes = row_hashes_by_column(frame) if isinstance(frame, ByColumn) else row_hashes(frame)
    values: Any = frame[column]
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert(None)
    order = np.lexsort((hashes, values.to_numpy()))
    if isinstance(frame, ByColumn):
        return OrderedRows(frame, order)
    return frame.iloc[order].reset_index(drop=True)


class OrderedRows(Derived):
    """The rows of a frame in another order (rows,), by the numbers that they had."""

    def __init__(self, frame: ByColumn, order: np.ndarray[Any, Any]) -> None:
        super().__init__(frame)
        self._order = order

    def column(self, name: str) -> pd.Series[Any]:
        """Return a whole column (rows,)."""
        return self._frame.column(name).iloc[self._order].reset_index(drop=True)


def require_safe(key: str) -> None:
    """Raise SourceError unless the key is safe as path and partition key."""
    if not is_safe(key):
        raise SourceError(f"key {key!r:.80} is unsafe; expected {SAFE}. Yield another key")
