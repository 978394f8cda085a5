"""Which batches of a `Table` are ready."""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from mlops_assets.errors import DeclarationError, SourceUnavailableError
from mlops_assets.lazy import pd, sa
from mlops_assets.sources.look import Look, Waiting
from mlops_assets.sources.table.connection import LOOK_SECONDS, reading
from mlops_assets.sources.table.keys import Span, Value, key_span, span_key
from mlops_assets.sources.table.marks import FIRST, NEWEST, extremes, marks, outside, within, without
from mlops_assets.sources.table.periods import look_at_periods
from mlops_assets.sources.table.source import Table
from mlops_assets.sources.table.sql import Axis, Relation, relation

MOST_NEW = 50
"""Batches into which new rows are divided at one look; the rows above them wait for the next one."""

_TOLERANCE = timedelta(days=1)


def look(table: Table, seen: Mapping[str, str] | None, now: pd.Timestamp | None) -> Look:
    """Return which batches are ready; `seen` has the marks on record. SourceUnavailableError without an answer."""
    now = pd.Timestamp(clock.time(), unit="s") if now is None else now
    seen = seen or {}
    require_time(table)
    with reading(table, LOOK_SECONDS) as connection:
        rows = relation(connection, table)
        if table.period is not None:
            return look_at_periods(table, connection, rows, seen, now)
        return _look_above(table, str(table.high_watermark), connection, rows, seen, now)


def require_time(table: Table) -> None:
    """Raise DeclarationError where rows are to be divided by period and no column says when they happened."""
    if table.period is not None and table.time is None:
        raise DeclarationError(
            f"{table.title}: period={table.period!r} needs time, the column to divide the rows by: declare it here or "
            "as the model's time."
        )


def _look_above(
    table: Table,
    name: str,
    connection: sa.Connection,
    rows: Relation,
    seen: Mapping[str, str],
    now: pd.Timestamp,
) -> Look:
    by, low, high = extremes(connection, rows, name)
    waiting = without(connection, rows, by)
    if by.beyond or (isinstance(low, datetime) and not by.text and low < FIRST):
        waiting.append(outside(connection, rows, by))
    if high is None:
        return Look({}, tuple(waiting))
    known = {span: mark for span, mark in ((key_span(key), mark) for key, mark in seen.items()) if span is not None}
    if any(type(span[1]) is not type(high) for span in known):
        raise SourceUnavailableError(
            f"column {name!r:.80} holds {'times' if isinstance(high, datetime) else 'numbers'}, and the "
            "batches so far were divided by the other. Declare the column that they were divided by, or give the "
            "model another name."
        )
    top = (now + _TOLERANCE).floor("us").to_pydatetime()
    if isinstance(high, datetime) and high > top:
        count = connection.scalar(
            sa.select(sa.func.count()).select_from(rows.rows).where(by.expression > by.bound(top))
        )
        waiting.append(
            Waiting(
                f"rows with {name} in the future", f"{count:,} rows wait for their time; correct them if it is wrong"
            )
        )
        high = _highest(connection, rows, by, (None, top))
    new = [] if high is None else list(_new_spans(connection, rows, by, list(known), high, table.limits.max_rows))
    ordered = sorted({*known, *new}, key=_order)
    old = {span for span in ordered[:-NEWEST] if known.get(span)}
    asked = [span for span in ordered if span not in old]
    there = {**{span: known[span] for span in old}, **marks(connection, rows, by, asked, None, period=False)}
    return Look({span_key(span): there[span] for span in ordered if span in there}, tuple(waiting))


def _order(span: Span) -> tuple[Value, bool, Value]:
    low, high = span
    return high, low is not None, high if low is None else low


def _new_spans(
    connection: sa.Connection, rows: Relation, by: Axis, known: list[Span], high: Value, most: int
) -> Iterator[Span]:
    """Yield spans of at most `most` rows each that have all rows which no known span has."""
    if isinstance(high, int):
        high = max(high, 0)  # a key says no number below 0; rows there are in the first batch
    made = 0
    for gap in _gaps(known, high):
        for span in _divided(connection, rows, by, gap, most):
            if made == MOST_NEW:
                return
            made += 1
            yield span


def _gaps(known: list[Span], high: Value) -> Iterator[Span]:
    """Yield what lies between the known spans and above them, up to the highest value."""
    top: Value | None = None
    for low, end in sorted(known, key=lambda span: (span[0] is not None, span[0] or span[1], span[1])):
        if low is not None and (top is None or low > top):  # type: ignore[operator]
            yield top, low
        top = end if top is None else max(top, end)
    if top is None or high > top:  # type: ignore[operator]
        yield top, high


def _divided(connection: sa.Connection, rows: Relation, by: Axis, gap: Span, most: int) -> Iterator[Span]:
    low, end = gap
    while _highest(connection, rows, by, (low, end)) is not None:
        beyond = connection.scalar(
            sa.select(by.expression)
            .select_from(rows.rows)
            .where(within(by, (low, end), period=False))
            .order_by(by.expression)
            .offset(most)
            .limit(1)
        )
        if beyond is None:
            yield low, end
            return
        first_left_out = by.value(beyond)
        below = sa.and_(within(by, (low, end), period=False), by.expression < by.bound(first_left_out))
        cut = connection.scalar(sa.select(sa.func.max(by.expression)).select_from(rows.rows).where(below))
        # Where more rows than a batch may have share one value, they are a batch that is refused with the reason.
        high = first_left_out if cut is None else by.value(cut)
        high = max(high, 0) if isinstance(high, int) else high
        yield low, high
        low = high


def _highest(connection: sa.Connection, rows: Relation, by: Axis, span: Span) -> Value | None:
    inside = within(by, span, period=False)
    highest = connection.scalar(sa.select(sa.func.max(by.expression)).select_from(rows.rows).where(inside))
    return None if highest is None else by.value(highest)
