"""One batch of a `Table` read: counted first, fetched in parts, with kinds that pandas can work with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from mlops_assets.errors import SourceError
from mlops_assets.lazy import np, pd, sa
from mlops_assets.sources.periods import period_end, period_start
from mlops_assets.sources.table.connection import reading
from mlops_assets.sources.table.keys import Span, key_span
from mlops_assets.sources.table.look import require_time
from mlops_assets.sources.table.marks import within
from mlops_assets.sources.table.periods import is_period
from mlops_assets.sources.table.source import Table
from mlops_assets.sources.table.sql import Relation, axis, relation
from mlops_assets.sources.times import parse_times

_PART = 20_000


def read(table: Table, key: str) -> pd.DataFrame:
    """Return all rows of a batch in order of time, else of the watermark.

    SourceError where there is no such batch, or it has no rows or too many; SourceUnavailableError where the database
    does not answer.
    """
    require_time(table)
    span = _span(table, key)
    with reading(table) as connection:
        rows = relation(connection, table)
        by = axis(connection, _divided_by(table), times_as_text=isinstance(span[1], datetime))
        inside = within(by, span, period=table.period is not None)
        count = connection.scalar(sa.select(sa.func.count()).select_from(rows.rows).where(inside)) or 0
        _refuse(table, key, count, len(rows.columns))
        frame = _fetch(
            table, key, connection, sa.select(*map(sa.column, rows.columns)).select_from(rows.rows).where(inside)
        )
    try:
        return _in_order(_timed(frame, table, rows), table)
    except SourceError as problem:
        raise SourceError(f"{table.title}: batch {key!r:.120}: {problem}.") from None


def _span(table: Table, key: str) -> Span:
    if table.period is not None:
        if is_period(key, table.period):
            return period_start(key, table.period).to_pydatetime(), period_end(key, table.period).to_pydatetime()
        raise SourceError(
            f"{table.title}: batch {key!r:.120}: is not a {table.period}; expected a key that a look returned."
        )
    span = key_span(key)
    if span is None:
        raise SourceError(
            f"{table.title}: batch {key!r:.120}: is not '<from>--<to>' of {table.high_watermark!r:.80}; expected a key "
            "that a look returned."
        )
    return span


def _divided_by(table: Table) -> str:
    return str(table.time if table.period is not None else table.high_watermark)


def _refuse(table: Table, key: str, rows: int, columns: int) -> None:
    if not rows:
        raise SourceError(
            f"{table.title}: batch {key!r:.120}: has no rows any more. Put them back, or give up the batch."
        )
    for what, found, expected in table.limits.exceeded(rows, columns):
        smaller = (
            "Declare a shorter period"
            if table.period
            else "Rows of one value are never divided, nor is a batch that got late rows: declare another column"
        )
        advice = smaller if what == "rows" else "Select fewer in a query"
        raise SourceError(
            f"{table.title}: batch {key!r:.120}: {found}; {expected}. {advice}, or raise limits.max_{what}."
        )


def _fetch(table: Table, key: str, connection: sa.Connection, asked: sa.Select[*tuple[Any, ...]]) -> pd.DataFrame:
    found, size, count = [], 0.0, 0
    names = [column.name for column in asked.selected_columns]
    for part in _parts(table, key, connection, asked):
        frame = pd.DataFrame.from_records([tuple(row) for row in part], columns=names, coerce_float=True)
        size, count = size + float(frame.memory_usage(deep=True).sum()) / 1e6, count + len(frame)
        if size > table.limits.max_mb or count > table.limits.max_rows:
            most = f"{table.limits.max_rows:,} rows and {table.limits.max_mb:,.0f} MB"
            raise SourceError(
                f"{table.title}: batch {key!r:.120}: takes more than {most}. Make the batches smaller, select fewer "
                "columns in a query, or raise limits.max_mb or limits.max_rows."
            )
        found.append(frame)
    _refuse(table, key, count, len(names))  # deleted since they were counted, where reads are of no one moment
    whole = pd.concat(found, ignore_index=True)
    return whole.assign(**{str(name): _plain(whole[name]) for name in whole if whole[name].dtype == object})


def _parts(
    table: Table, key: str, connection: sa.Connection, asked: sa.Select[*tuple[Any, ...]]
) -> Iterator[Sequence[sa.Row[Any]]]:
    """Yield the rows, some at a time; SourceError where one holds what Python has no value for, such as 'infinity'."""
    try:  # the first rows are fetched when it is executed
        result = connection.execution_options(stream_results=True, yield_per=_PART).execute(asked)
        yield from result.partitions(_PART)
    except sa.exc.DataError as problem:
        said = str(problem.orig).splitlines()[0]
        raise SourceError(
            f"{table.title}: batch {key!r:.120}: holds a value that cannot be read: {said:.200}. Correct it there, or "
            "declare a query that selects something else in its place."
        ) from None


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


def _timed(frame: pd.DataFrame, table: Table, rows: Relation) -> pd.DataFrame:
    """Return columns of times as datetimes: those that are, that the database says are, and that divide the rows."""
    times = {name for name in frame if pd.api.types.is_datetime64_any_dtype(frame[name])}
    times |= rows.dated | ({table.time} & set(frame.columns))
    if table.high_watermark is not None and pd.api.types.is_string_dtype(frame[table.high_watermark]):
        times.add(table.high_watermark)
    return frame.assign(**{name: parse_times(frame[name]) for name in sorted(map(str, times))})


def _in_order(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    """Return the rows in order of time; where times are equal, in an order that the same rows always have."""
    by = table.time if table.time in frame.columns else table.high_watermark
    order = np.lexsort((pd.util.hash_pandas_object(frame, index=False).to_numpy(), frame[by].to_numpy()))
    return frame.iloc[order].reset_index(drop=True)
