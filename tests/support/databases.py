"""An empty database for a test, on SQLite or on a real PostgreSQL, and what a test does to it besides us."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from support.postgres import Postgres


class Database:
    """A database of its own, written to by someone else than us."""

    def __init__(self, url: str, kind: str) -> None:
        self.url, self.kind = url, kind
        self._engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))

    def run(self, *statements: str) -> None:
        """Statements in one transaction."""
        with self._engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def add(self, table: str, rows: list[dict[str, Any]]) -> None:
        """Rows at the end of a table."""
        columns = [sa.column(name) for name in rows[0]]
        with self._engine.begin() as connection:
            connection.execute(sa.insert(sa.table(table, *columns)), rows)

    def all(self, query: str) -> list[tuple[Any, ...]]:
        """What a query gives."""
        with self._engine.begin() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def tables(self) -> list[str]:
        """The names of its tables."""
        return sorted(sa.inspect(self._engine).get_table_names())

    def close(self) -> None:
        """Let go of its connections."""
        self._engine.dispose()


def sqlite_database(folder: Path) -> Database:
    """A new file."""
    made = Database(f"sqlite:///{folder / 'shop.db'}", "sqlite")
    made.run("CREATE TABLE made (x INTEGER)", "DROP TABLE made")
    return made


def postgres_database(server: Postgres, name: str) -> Database:
    """A new database of the server."""
    admin = sa.create_engine(server.url().replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    admin.dispose()
    return Database(server.url(database=name), "postgresql")
