"""The column that divides the rows of a `Table`, as SQL to compare."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mlops_assets.errors import SourceUnavailableError
from mlops_assets.lazy import sa
from mlops_assets.sources.table.keys import Span, Value
from mlops_assets.sources.table.source import Table
from mlops_assets.sources.table.sql import Relation

FIRST, END = datetime(1700, 1, 1), datetime(2200, 1, 1)
"""Between these lie all times that rows are divided by."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A column that divides rows, as SQL to compare.

    `by_period`: its spans are periods. `text`: SQLite keeps times as text, so bounds are text too. `beyond`: some rows
    hold times that Python has no value for, such as PostgreSQL's 'infinity'.
    """

    rows: Relation
    column: str
    by_period: bool
    expression: sa.ColumnElement[Any]
    text: bool
    beyond: bool = False

    def bound(self, value: Value) -> sa.ColumnElement[Any]:
        """Return a value as a bound parameter."""
        if not isinstance(value, datetime):
            return sa.literal(value, sa.BigInteger())
        if self.text:
            return sa.literal(value.isoformat(" ", "milliseconds"), sa.String())
        return sa.literal(value, sa.DateTime())

    def value(self, raw: Any) -> Value:
        """Return a whole number, or a moment in UTC without a zone, from what the driver gives."""
        try:
            raw = datetime.fromisoformat(raw) if isinstance(raw, str) else raw
            if isinstance(raw, datetime):
                return raw.astimezone(UTC).replace(tzinfo=None) if raw.tzinfo else raw
            if isinstance(raw, date):
                return datetime(raw.year, raw.month, raw.day)
            if (
                isinstance(raw, int | Decimal)
                and not isinstance(raw, bool)
                and raw == int(raw)
                and abs(int(raw)) < 2**63
            ):
                return int(raw)
        except (ValueError, ArithmeticError):
            pass
        raise SourceUnavailableError(
            f"column {self.column!r:.80} holds {raw!r:.80} ({type(raw).__name__}); expected whole numbers of at most "
            "64 bits, or times. Declare another column, or a query that casts it"
        )

    def in_years(self) -> sa.ColumnElement[bool]:
        """Return the condition for rows whose time lies in the years that rows are divided by."""
        return sa.and_(self.expression >= self.bound(FIRST), self.expression < self.bound(END))

    def within(self, span: Span) -> sa.ColumnElement[bool]:
        """Return the condition for rows of a period (from <= x < to) or span (from < x <= to), from 1700 on."""
        low, high = span
        upper = self.expression < self.bound(high) if self.by_period else self.expression <= self.bound(high)
        if low is not None:
            lower = self.expression >= self.bound(low) if self.by_period else self.expression > self.bound(low)
        elif isinstance(high, datetime) and not self.text:
            lower = self.expression >= self.bound(FIRST)
        else:
            return upper
        return sa.and_(lower, upper)

    def highest(self, *conditions: sa.ColumnElement[bool]) -> Value | None:
        """Return the greatest value of the rows that meet the conditions; None where there are none."""
        raw = self.rows.scalar(sa.func.max(self.expression), *conditions)
        return None if raw is None else self.value(raw)


def axis_of(rows: Relation, table: Table, times_as_text: bool) -> Axis:
    """Return the column that divides a table; as milliseconds where it holds times as text, as on SQLite."""
    name = str(table.time if table.period is not None else table.high_watermark)
    text = times_as_text and rows.connection.dialect.name == "sqlite"
    column: sa.ColumnElement[Any] = sa.column(name)
    if text:
        # SQLite also takes 'now' for a time, the day of which changes at each look, and '10:30' for one of 2000.
        dated = column.bool_op("GLOB")("[0-9][0-9][0-9][0-9]-*")
        column = sa.case((dated, sa.func.strftime("%Y-%m-%d %H:%M:%f", column)))
    return Axis(rows=rows, column=name, by_period=table.period is not None, expression=column, text=text)


def extremes(rows: Relation, table: Table) -> tuple[Axis, Value | None, Value | None]:
    """Return the column that divides a table, its least and its greatest value; None where it has none."""
    axis = axis_of(rows, table, times_as_text=False)
    try:
        low, high = _least_and_greatest(axis)
    except sa.exc.DataError:
        axis = replace(axis, beyond=True)
        low, high = _least_and_greatest(axis, axis.in_years())
    if isinstance(high, str) and rows.connection.dialect.name == "sqlite":
        axis = axis_of(rows, table, times_as_text=True)
        low, high = _least_and_greatest(axis)
    return axis, None if low is None else axis.value(low), None if high is None else axis.value(high)


def _least_and_greatest(axis: Axis, *conditions: sa.ColumnElement[bool]) -> tuple[Any, Any]:
    values = axis.rows.select(sa.func.min(axis.expression), sa.func.max(axis.expression)).where(*conditions)
    least, greatest = axis.rows.connection.execute(values).one()
    return least, greatest
