"""One batch of a `Table` read: counted first, fetched in parts, with kinds that pandas can work with."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from mlops_assets.errors import SourceError
from mlops_assets.lazy import pd, sa
from mlops_assets.sources.rows import in_order
from mlops_assets.sources.table.axis import axis_of
from mlops_assets.sources.table.connection import reading
from mlops_assets.sources.table.keys import key_span
from mlops_assets.sources.table.periods import moments_of
from mlops_assets.sources.table.source import Table
from mlops_assets.sources.table.sql import Relation, relation_of
from mlops_assets.sources.times import parse_times

_PART = 20_000


def read(table: Table, key: str) -> pd.DataFrame:
    """Return all rows of a batch in order of time, else of the watermark."""
    with selected(table, key) as (rows, inside):
        frames = [frame for frame, _ in fetched(table, rows, inside)]
    return framed(table, frames, rows.dated)


@contextmanager
def selected(table: Table, key: str) -> Iterator[tuple[Relation, sa.ColumnElement[bool]]]:
    """Open a transaction on the table; give it, and the condition for the rows of a batch, once they are counted."""
    span = key_span(key) if table.period is None else moments_of(key, table.period)
    if span is None:
        kind = f"a {table.period}" if table.period else f"'<from>--<to>' of {table.high_watermark!r:.80}"
        raise SourceError(f"is not {kind}; expected a key that a look returned")
    with reading(table) as connection:
        rows = relation_of(connection, table)
        axis = axis_of(rows, table, times_as_text=isinstance(span[1], datetime))
        inside = axis.within(span)
        _check(table, rows.count(inside), len(rows.columns))
        yield rows, inside


def framed(table: Table, frames: list[pd.DataFrame], dated: Collection[str]) -> pd.DataFrame:
    """Return fetched rows in order, in kinds that pandas can work with."""
    whole = pd.concat(frames, ignore_index=True)
    frame = whole.assign(**{str(name): typed(whole[name], table, dated) for name in whole})
    return in_order(frame, ordering(table, frame.columns))


def ordering(table: Table, columns: Collection[str]) -> str:
    """Return the column that rows are in order of."""
    return str(table.time if table.time in columns else table.high_watermark)


def _check(table: Table, rows: int, columns: int) -> None:
    if not rows:
        raise SourceError("has no rows any more. Put them back, or give up the batch")
    whole = "Rows of one value are never divided, nor is a batch that got late rows: declare another column"
    table.limits.check(rows, 0, "Declare a shorter period" if table.period else whole)
    table.limits.check(0, columns, "Select fewer in a query")


def fetched(table: Table, rows: Relation, inside: sa.ColumnElement[bool]) -> Iterator[tuple[pd.DataFrame, float]]:
    """Yield the rows, some at a time, each with the MB that it and those before it take; SourceError for too many."""
    size, count = 0.0, 0
    for part in _parts(rows, inside):
        frame = pd.DataFrame.from_records([tuple(row) for row in part], columns=rows.columns, coerce_float=True)
        size, count = size + float(frame.memory_usage(deep=True).sum()) / 1e6, count + len(frame)
        if size > table.limits.max_mb or count > table.limits.max_rows:
            raise SourceError(
                f"takes more than {table.limits.max_rows:,} rows and {table.limits.max_mb:,.0f} MB. Make the batches "
                "smaller, select fewer columns in a query, or raise limits.max_mb or limits.max_rows"
            )
        yield frame, size
    _check(table, count, len(rows.columns))  # deleted since they were counted, where reads are of no one moment


def _parts(rows: Relation, inside: sa.ColumnElement[bool]) -> Iterator[Sequence[sa.Row[Any]]]:
    """Yield the rows, some at a time; SourceError where one holds what Python has no value for, such as 'infinity'."""
    asked = rows.select(*map(sa.column, rows.columns)).where(inside)
    try:  # the first rows are fetched when it is executed
        result = rows.connection.execution_options(stream_results=True, yield_per=_PART).execute(asked)
        yield from result.partitions(_PART)
    except sa.exc.DataError as problem:
        reason = str(problem.orig).splitlines()[0]
        raise SourceError(
            f"holds a value that cannot be read: {reason:.200}. Correct it there, or declare a query that selects "
            "something else in its place"
        ) from None


def typed(values: pd.Series[Any], table: Table, dated: Collection[str]) -> pd.Series[Any]:
    """Return a whole column in a kind of pandas.

    Times become datetimes: those that are, that the database says are (`dated`), and that divide the rows.
    """
    values = _plain(values) if values.dtype == object else values
    is_text_of_watermark = values.name == table.high_watermark and pd.api.types.is_string_dtype(values)
    is_time = pd.api.types.is_datetime64_any_dtype(values) or values.name in {*dated, table.time}
    return parse_times(values) if is_time or is_text_of_watermark else values


def _plain(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return a column of Python objects as a kind of pandas, where it is one throughout."""
    kinds = {type(value) for value in values.dropna()}
    if kinds and kinds <= {Decimal, int, float}:
        return values.astype("float64")
    if kinds and kinds <= {date, datetime, pd.Timestamp}:
        return pd.to_datetime(values)
    if kinds == {UUID}:
        return values.map(str, na_action="ignore")
    if kinds & {dict, list}:  # PostgreSQL's JSON and arrays, which cannot be compared
        return values.map(_as_text, na_action="ignore")
    return values.infer_objects()


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
