"""What a `Table` is in SQL: the table, view or query, with its columns, quoted."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

from mlops_assets.errors import SourceUnavailableError
from mlops_assets.lazy import sa
from mlops_assets.sources.raised import alternatives
from mlops_assets.sources.table.source import Table


@dataclass(frozen=True)
class Relation:
    """A table, or a query as a sub-select, in a transaction; `dated`: the columns that the database says hold times."""

    connection: sa.Connection
    source: sa.FromClause
    columns: list[str]
    dated: frozenset[str] = frozenset()

    def select(self, *values: sa.ColumnElement[Any]) -> sa.Select[Any]:
        """Return the query for values of its rows."""
        return sa.select(*values).select_from(self.source)

    def scalar(self, value: sa.ColumnElement[Any], *conditions: sa.ColumnElement[bool]) -> Any:
        """Return one value of the rows that meet the conditions."""
        return self.connection.scalar(self.select(value).where(*conditions))

    def count(self, condition: sa.ColumnElement[bool]) -> int:
        """Return how many rows meet the condition."""
        return int(self.scalar(sa.func.count(), condition))


def relation_of(connection: sa.Connection, table: Table) -> Relation:
    """Return the table or query; SourceUnavailableError names what there is where it or a column is missing."""
    rows = _declared_query(connection, table) if table.query is not None else _declared_table(connection, table)
    time = table.time if table.period is not None else None
    for field, name in (("time", time), ("high_watermark", table.high_watermark)):
        if name is not None and name not in rows.columns:
            raise SourceUnavailableError(
                f"{field}: there is no column {name!r:.80}{alternatives(name, rows.columns, 'columns')}"
            )
    return rows


def _declared_table(connection: sa.Connection, table: Table) -> Relation:
    inspector = sa.inspect(connection)
    schema, _, name = str(table.name).rpartition(".")
    if schema and schema not in inspector.get_schema_names():
        raise SourceUnavailableError(
            f"there is no schema {schema!r:.80}{alternatives(schema, inspector.get_schema_names(), 'schemas')}"
        )
    if not inspector.has_table(name, schema=schema or None):
        names = [*inspector.get_table_names(schema or None), *inspector.get_view_names(schema or None)]
        raise SourceUnavailableError(f"there is no such table{alternatives(name, names, 'tables and views')}")
    with warnings.catch_warnings():  # of a type only whether it is a time is asked
        warnings.filterwarnings("ignore", "Did not recognize type", sa.exc.SAWarning)
        described = inspector.get_columns(name, schema=schema or None)
    columns = {str(column["name"]): column["type"] for column in described}
    dated = frozenset(name for name, kind in columns.items() if isinstance(kind, (sa.Date, sa.DateTime)))
    source = sa.table(name, *map(sa.column, columns), schema=schema or None)
    return Relation(connection, source, list(columns), dated)


def _declared_query(connection: sa.Connection, table: Table) -> Relation:
    # A colon would mark a parameter, and a comment at the end would swallow what follows.
    query = sa.text(str(table.query).replace(":", "\\:") + "\n")
    nothing = sa.select(sa.text("*")).select_from(query.columns().subquery("declared")).where(sa.false())
    names = list(connection.execute(nothing).keys())
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SourceUnavailableError(f"gives two columns {twice[0]!r:.80}. Rename one of them with AS")
    return Relation(connection, query.columns(*map(sa.column, names)).subquery("declared"), names)
