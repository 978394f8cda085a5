"""Which batches of a `Table` are ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import chain, islice

from mlops_assets.errors import SourceUnavailableError
from mlops_assets.lazy import pd
from mlops_assets.sources import Look, Table, Waiting
from mlops_assets.sources.table.axis import Axis, extremes
from mlops_assets.sources.table.connection import LOOK_SECONDS, reading
from mlops_assets.sources.table.keys import Span, Value, key_span, span_key
from mlops_assets.sources.table.marks import NEWEST, marks, rows_in_no_batch
from mlops_assets.sources.table.periods import look_at_periods
from mlops_assets.sources.table.sql import relation_of

MOST_NEW = 50
"""Batches into which new rows are divided at one look; the rows above them wait for the next one."""

_TOLERANCE = timedelta(days=1)


def look(table: Table, seen: Mapping[str, str] | None, now: pd.Timestamp) -> Look:
    """Return which batches are ready; `seen` has the marks on record. SourceUnavailableError without an answer."""
    with reading(table, LOOK_SECONDS) as connection:
        axis, low, high = extremes(relation_of(connection, table), table)
        waiting = rows_in_no_batch(axis, low, high)
        if low is None or high is None:
            return Look({}, tuple(waiting))
        if table.period is not None:
            ready, others = look_at_periods(table, axis, (low, high), seen or {}, now)
        else:
            ready, others = _look_above(axis, high, seen or {}, now, table.limits.max_rows)
        return Look(ready, (*waiting, *others))


def _look_above(
    axis: Axis, high: Value, seen: Mapping[str, str], now: pd.Timestamp, most: int
) -> tuple[dict[str, str], Iterable[Waiting]]:
    recorded = {span: mark for key, mark in seen.items() if (span := key_span(key)) is not None}
    if any(type(span[1]) is not type(high) for span in recorded):
        raise SourceUnavailableError(
            f"column {axis.column!r:.80} holds {'times' if isinstance(high, datetime) else 'numbers'}, and the batches "
            "so far were divided by the other. Declare the column that they were divided by, or give the model another "
            "name"
        )
    waiting = []
    newest: Value | None = high
    top = (now + _TOLERANCE).floor("us").to_pydatetime()
    if isinstance(high, datetime) and high > top:
        count = axis.rows.count(axis.expression > axis.bound(top))
        reason = f"{count:,} rows wait for their time; correct them if it is wrong"
        waiting.append(Waiting(f"rows with {axis.column} in the future", reason))
        newest = axis.highest(axis.within((None, top)))
    new = [] if newest is None else _new_spans(axis, list(recorded), newest, most)
    ordered = sorted({*recorded, *new}, key=_order)
    old = {span: recorded[span] for span in ordered[:-NEWEST] if recorded.get(span)}
    marked = {**old, **marks(axis, [span for span in ordered if span not in old])}
    return {span_key(span): marked[span] for span in ordered if span in marked}, waiting


def _order(span: Span) -> tuple[Value, bool, Value]:
    low, high = span
    return high, low is not None, high if low is None else low


def _new_spans(axis: Axis, spans: list[Span], high: Value, most: int) -> Iterator[Span]:
    """Return new spans of at most `most` rows each, which have the rows that none of the spans has."""
    if isinstance(high, int):
        high = max(high, 0)  # a key says no number below 0; rows there are in the first batch
    return islice(chain.from_iterable(_divided(axis, gap, most) for gap in _gaps(spans, high)), MOST_NEW)


def _gaps(spans: list[Span], high: Value) -> Iterator[Span]:
    """Yield what lies between the spans and above them, up to the highest value."""
    top: Value | None = None
    for low, end in sorted(spans, key=lambda span: (span[0] is not None, span[0] or span[1], span[1])):
        if low is not None and (top is None or low > top):  # type: ignore[operator]
            yield top, low
        top = end if top is None else max(top, end)
    if top is None or high > top:  # type: ignore[operator]
        yield top, high


def _divided(axis: Axis, gap: Span, most: int) -> Iterator[Span]:
    low, end = gap
    while axis.highest(inside := axis.within((low, end))) is not None:
        values = axis.rows.select(axis.expression).where(inside).order_by(axis.expression)
        beyond = axis.rows.connection.scalar(values.offset(most).limit(1))
        if beyond is None:
            yield low, end
            return
        first_left_out = axis.value(beyond)
        cut = axis.highest(inside, axis.expression < axis.bound(first_left_out))
        # Where more rows than a batch may have share one value, they are a batch that is refused with the reason.
        high = first_left_out if cut is None else cut
        high = max(high, 0) if isinstance(high, int) else high
        yield low, high
        low = high
