"""One batch of a `Delta` table read: counted first, then part by part within the limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

from mlops_assets.errors import SourceError
from mlops_assets.lazy import pa, pd
from mlops_assets.sources import Delta
from mlops_assets.sources.delta.opened import Opened, asked, opened
from mlops_assets.sources.delta.periods import moments
from mlops_assets.sources.periods import period_key, period_span
from mlops_assets.sources.rows import in_order

_PART = 50_000
SECONDS = 600.0
"""The longest that a run waits for the rows of a batch."""

_SMALLER = "Declare a shorter period"


def read(delta: Delta, key: str) -> pd.DataFrame:
    """Return all rows of a period in order of time, whatever the files that they are in."""
    version, inside = selected(delta, key)

    def fetched() -> pa.Table:
        return pa.Table.from_batches(parts_within(delta, version, inside), version.rows.schema)

    return framed(delta, asked(delta, fetched, SECONDS))


def selected(delta: Delta, key: str) -> tuple[Opened, Any]:
    """Return the newest version and which of its rows are of a period; SourceError where there are none or too many."""
    assert delta.period is not None
    try:
        start, end = period_span(key, delta.period)
        known = period_key(start, delta.period) == key
    except (ValueError, TypeError, OverflowError):
        known = False
    if not known:
        raise SourceError(f"is not a {delta.period}; expected a key that a look returned")
    version = opened(delta)
    inside = _within(version.rows.schema.field(str(delta.time)), start, end)
    count = asked(delta, lambda: version.rows.count_rows(filter=inside, use_threads=False), SECONDS)
    if not count:
        raise SourceError("has no rows any more. Put them back, or give up the batch")
    delta.limits.check(count, len(version.rows.schema), _SMALLER)
    return version, inside


def framed(delta: Delta, table: pa.Table) -> pd.DataFrame:
    """Return the rows in order of time."""
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    frame[str(delta.time)] = moments(table.column(str(delta.time)))
    return in_order(frame, str(delta.time))


def _within(field: pa.Field, start: pd.Timestamp, end: pd.Timestamp) -> Any:
    column = pa.dataset.field(field.name)
    return (column >= _bound(field.type, start)) & (column < _bound(field.type, end))


def _bound(kind: pa.DataType, moment: pd.Timestamp) -> pa.Scalar:
    if pa.types.is_date(kind):
        return pa.scalar(date(moment.year, moment.month, moment.day), kind)
    return pa.scalar(moment.tz_localize("UTC") if kind.tz else moment, kind)


def parts_within(delta: Delta, version: Opened, inside: Any) -> Iterator[pa.RecordBatch]:
    """Yield the rows; SourceError as soon as they take more than the limit allows."""
    size, most = 0.0, delta.limits.max_mb
    for part in version.rows.to_batches(
        filter=inside, batch_size=_PART, use_threads=False, batch_readahead=1, fragment_readahead=1
    ):
        size += part.nbytes / 1e6
        if size > most:
            raise SourceError(f"takes more than {most:,.0f} MB. {_SMALLER}, or raise limits.max_mb")
        yield part
