"""What a `Table` is in SQL: its columns, quoted, and the conditions that divide its rows, with bound values."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mlops_assets.errors import SourceUnavailableError
from mlops_assets.lazy import sa
from mlops_assets.sources.table.keys import Value
from mlops_assets.sources.table.source import Table

_LISTED = 20


@dataclass(frozen=True)
class Relation:
    """A table, or a query as a sub-select, with its columns; `dated`: those that the database says hold times."""

    rows: sa.FromClause
    columns: list[str]
    dated: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Axis:
    """A column that divides rows, as SQL to compare. `text`: SQLite keeps times as text, so bounds are text too.

    `beyond`: some rows hold times that Python has no value for, such as PostgreSQL's 'infinity'.
    """

    column: str
    expression: sa.ColumnElement[Any]
    text: bool = False
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
            "64 bits, or times. Declare another column, or a query that casts it."
        )


def axis(connection: sa.Connection, column: str, times_as_text: bool) -> Axis:
    """Return a column as SQL to compare; as milliseconds where it holds times as text, as on SQLite."""
    if times_as_text and connection.dialect.name == "sqlite":
        moment = sa.func.strftime("%Y-%m-%d %H:%M:%f", sa.column(column))
        # SQLite also takes 'now' for a time, the day of which changes at each look, and '10:30' for one of 2000.
        dated = sa.column(column).bool_op("GLOB")("[0-9][0-9][0-9][0-9]-*")
        return Axis(column, sa.case((dated, moment)), text=True)
    return Axis(column, sa.column(column))


def relation(connection: sa.Connection, table: Table) -> Relation:
    """Return the table or query; SourceUnavailableError names what there is where it or a column is missing."""
    found = _declared_query(connection, table) if table.query is not None else _declared_table(connection, table)
    time = table.time if table.period is not None else None
    for field, name in (("time", time), ("high_watermark", table.high_watermark)):
        if name is not None and name not in found.columns:
            raise SourceUnavailableError(
                f"{field}: there is no column {name!r:.80}{_meant(name, found.columns, 'columns')}"
            )
    return found


def _declared_table(connection: sa.Connection, table: Table) -> Relation:
    inspector = sa.inspect(connection)
    schema, _, name = str(table.name).rpartition(".")
    if schema and schema not in inspector.get_schema_names():
        raise SourceUnavailableError(
            f"there is no schema {schema!r:.80}{_meant(schema, inspector.get_schema_names(), 'schemas')}"
        )
    if not inspector.has_table(name, schema=schema or None):
        names = [*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)]
        raise SourceUnavailableError(f"there is no such table{_meant(name, names, 'tables and views')}")
    columns = inspector.get_columns(name, schema=schema or None)
    names = [str(column["name"]) for column in columns]
    dated = frozenset(str(column["name"]) for column in columns if isinstance(column["type"], (sa.Date, sa.DateTime)))
    return Relation(sa.table(name, *map(sa.column, names), schema=schema or None), names, dated)


def _declared_query(connection: sa.Connection, table: Table) -> Relation:
    # A colon would mark a parameter, and a comment at the end would swallow what follows.
    query = sa.text(str(table.query).replace(":", "\\:") + "\n")
    nothing = sa.select(sa.text("*")).select_from(query.columns().subquery("declared")).where(sa.false())
    names = list(connection.execute(nothing).keys())
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SourceUnavailableError(f"gives two columns {twice[0]!r:.80}. Rename one of them with AS.")
    return Relation(query.columns(*map(sa.column, names)).subquery("declared"), names)


def _meant(name: str, names: list[str], what: str) -> str:
    lower = {each.lower(): each for each in names}
    close = difflib.get_close_matches(name.lower(), lower, n=1)
    meant = f"; did you mean {lower[close[0]]!r:.80}?" if close else ""
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{meant} ({what}: {', '.join(f'{each:.80}' for each in sorted(names)[:_LISTED]) or 'none'}{more})."
