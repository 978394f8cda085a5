"""Marks of many batches of a `Table` from few queries: how many rows each has, and the extremes of its columns."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from mlops_assets.lazy import sa
from mlops_assets.sources.look import Waiting
from mlops_assets.sources.table.keys import Span, Value
from mlops_assets.sources.table.sql import Axis, Relation, axis

NEWEST = 500
"""Batches whose rows are counted at each look; older ones keep the mark that they were taken in with."""

_CHUNK = 200
FIRST, END = datetime(1700, 1, 1), datetime(2200, 1, 1)
"""Between these lie all times that rows are divided by."""


def within(axis: Axis, span: Span, period: bool) -> sa.ColumnElement[bool]:
    """Return the condition for rows of a span (from < x <= to) or a period (from <= x < to), from 1700 on."""
    low, high = span
    column = axis.expression
    upper = column < axis.bound(high) if period else column <= axis.bound(high)
    if low is None and (axis.text or not isinstance(high, datetime)):
        return upper
    if low is None:
        return sa.and_(column >= axis.bound(FIRST), upper)
    return sa.and_(column >= axis.bound(low) if period else column > axis.bound(low), upper)


def extremes(connection: sa.Connection, rows: Relation, name: str) -> tuple[Axis, Value | None, Value | None]:
    """Return a column as SQL to compare, its least and its greatest value; None where it has none."""
    by = axis(connection, name, times_as_text=False)
    asked = _least_and_greatest(rows, by)
    try:
        low, high = connection.execute(asked).one()
    except sa.exc.DataError:
        by = replace(by, beyond=True)
        low, high = connection.execute(asked.where(within(by, (FIRST, END), period=True))).one()
    if isinstance(high, str) and connection.dialect.name == "sqlite":
        by = axis(connection, name, times_as_text=True)
        low, high = connection.execute(_least_and_greatest(rows, by)).one()
    return by, None if low is None else by.value(low), None if high is None else by.value(high)


def _least_and_greatest(rows: Relation, by: Axis) -> sa.Select[tuple[Any, Any]]:
    return sa.select(sa.func.min(by.expression), sa.func.max(by.expression)).select_from(rows.rows)


def outside(connection: sa.Connection, rows: Relation, by: Axis) -> Waiting:
    """Return how many rows are in no batch, since their time lies outside of the years that rows are divided by."""
    inside = within(by, (FIRST, END), period=True)
    count = connection.scalar(sa.select(sa.func.count()).select_from(rows.rows).where(sa.not_(inside)))
    years = f"{FIRST.year} to {END.year - 1}"
    return Waiting(
        f"rows outside {years}", f"{count:,} rows lie outside these years in {by.column!r:.80}; correct them"
    )


def without(connection: sa.Connection, rows: Relation, by: Axis) -> list[Waiting]:
    """Return how many rows are in no batch, since they have no value to divide them by."""
    missing = sa.select(sa.func.count()).select_from(rows.rows).where(by.expression.is_(None))
    count = connection.scalar(missing) or 0
    what = "time that can be read" if by.text else "value"
    reason = f"{count:,} rows have no {what} in column {by.column!r:.80}; fill it in"
    return [Waiting(f"rows without {by.column}", reason)] if count else []


def marks(
    connection: sa.Connection, rows: Relation, by: Axis, spans: Sequence[Span], sharper: str | None, period: bool
) -> Mapping[Span, str]:
    """Return the mark of each span that has rows. `sharper` is another column whose extremes count."""
    ordered = sorted(spans, key=lambda span: span[1])
    found: dict[Span, str] = {}
    for start in range(0, len(ordered), _CHUNK):
        chunk = ordered[start : start + _CHUNK]
        extremes_of = {"divided": by.expression, **({"sharper": sa.column(sharper)} if sharper else {})}
        around = (chunk[0][0], chunk[-1][1])
        parts = (
            sa.select(_part(by, chunk, 0, period).label("part"), *(each.label(n) for n, each in extremes_of.items()))
            .select_from(rows.rows)
            .where(within(by, around, period))
            .subquery("parts")
        )
        asked = [function(parts.c[name]) for name in extremes_of for function in (sa.func.min, sa.func.max)]
        for part, *values in connection.execute(
            sa.select(parts.c.part, sa.func.count(), *asked).group_by(parts.c.part)
        ):
            if part is not None:
                found[chunk[part]] = _mark(values)
    return found


def _part(by: Axis, spans: Sequence[Span], first: int, period: bool) -> sa.ColumnElement[Any]:
    """Return which span a row is in, NULL for none: halved, so that each row takes a few comparisons."""
    if len(spans) == 1:
        return sa.case((within(by, spans[0], period), sa.literal_column(str(first))))
    half = len(spans) // 2
    lower = within(by, (None, spans[half - 1][1]), period)
    return sa.case((lower, _part(by, spans[:half], first, period)), else_=_part(by, spans[half:], first + half, period))


def _mark(values: Sequence[Any]) -> str:
    text = " ".join(value.isoformat() if isinstance(value, datetime) else str(value) for value in values)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
