"""Connections to the database of records: PostgreSQL, or SQLite in which many processes read while one writes."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

from mlops_assets.errors import RecordsError
from mlops_assets.file_systems import is_local
from mlops_assets.lazy import sa
from mlops_assets.resources.storage.files import local_path
from mlops_assets.resources.storage.resource import DATABASE_VARIABLE

SECONDS = 30
"""How long a writer waits for another writer."""

_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_SERVERS = {"postgresql": "postgresql+psycopg"}
_LIBPQ = {"connect_timeout": 5, "tcp_user_timeout": 1_000 * SECONDS}  # seconds, milliseconds


def database_of(declared: str, root: str) -> str:
    """Return the URL of a storage's database: as declared, from the variable `$NAME`, or a file in its root.

    On an object store, which holds no database, it is that of the variable `MLOPS_ASSETS_DATABASE`.
    """
    if not declared and is_local(root):
        return f"sqlite:///{local_path(root).absolute() / 'records.db'}"
    declared = declared or f"${DATABASE_VARIABLE}"
    variable = _VARIABLE.fullmatch(declared)
    if variable is None:
        return declared
    url = os.environ.get(variable.group(1), "").strip()
    if not url:
        raise RecordsError(f"the environment variable {variable.group(1)} is not set: it names the database of records")
    return url


def engine_of(url: str) -> sa.Engine:
    """Return an engine for a database of records; raise `RecordsError` for an untested kind of database."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise RecordsError(
            "the address of the database of records is not a URL: write postgresql://user:password@host/name "
            "or sqlite:////folder/records.db"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed)
    if parsed.get_backend_name() != "postgresql":
        raise RecordsError(f"records are kept in SQLite or PostgreSQL, not in {parsed.get_backend_name()}")
    parsed = parsed.set(drivername=_SERVERS.get(parsed.drivername, parsed.drivername))
    try:
        return sa.create_engine(parsed, pool_pre_ping=True, pool_size=2, connect_args=_LIBPQ)
    except ImportError as error:
        raise RecordsError(f"{error}: install mlops-assets with its extra `postgres`") from error


def place_of(url: sa.URL) -> str:
    """Return the address of a database without its password."""
    return str(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def _sqlite(url: sa.URL) -> sa.Engine:
    """Return an engine that opens each connection anew (0.1 milliseconds): a backup may replace the file."""
    if not url.database or url.database == ":memory:":
        raise RecordsError("records are kept in a file: name one, as in sqlite:////folder/records.db")
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"timeout": SECONDS})
    sa.event.listen(engine, "do_connect", _make_folder)
    sa.event.listen(engine, "connect", _settle)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _make_folder(dialect: Any, record: Any, args: Any, parameters: Any) -> None:
    Path(args[0]).parent.mkdir(parents=True, exist_ok=True)


def _settle(connection: Any, _: object) -> None:
    """Leave BEGIN to this module; a commit returns when it is in the write-ahead log on the disk."""
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = FULL")
    end = time.monotonic() + SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:  # SQLite does not wait for other processes that turn a new file to WAL
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _begin(connection: sa.Connection) -> None:
    immediate = connection.get_execution_options().get("immediate")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
