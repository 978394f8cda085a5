"""Connects a `Table` to its database: read only, bounded in time, and silent about passwords."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, quote_plus

from mlops_assets.errors import SourceUnavailableError
from mlops_assets.lazy import sa
from mlops_assets.sources.raised import masked
from mlops_assets.sources.table.source import Table

LOOK_SECONDS = 8.0
"""All that a look may take once it is connected; connecting takes at most 5 seconds more."""

_NO_ROWS = "the database does not give the rows: {}. Mend it; nothing was read"
_LIBPQ = {"connect_timeout": 5, "tcp_user_timeout": 8_000}  # seconds, milliseconds
_VARIABLE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)\Z")
_SECRET = re.compile(r"pass|pwd|secret|token|key|credential", re.IGNORECASE)


@contextmanager
def reading(table: Table, seconds: float | None = None) -> Iterator[sa.Connection]:
    """Open a transaction that cannot write and is rolled back; what goes wrong in it is a `SourceUnavailableError`."""
    url = _url(table)
    engine = _engine(url)
    try:
        with engine.connect() as connection:  # closing it rolls back
            if connection.dialect.name == "postgresql":
                _one_statement(connection, table)
            _read_only(connection)
            if seconds is not None:
                _end_after(connection, seconds)
            yield connection
    except sa.exc.SQLAlchemyError as problem:
        raise SourceUnavailableError(f"{_place(url)}: {_reason(problem, url)}") from None
    finally:
        engine.dispose()


def _one_statement(connection: sa.Connection, table: Table) -> None:
    """Let PostgreSQL itself hold that whatever is sent to it is one statement.

    Without bound values psycopg sends text by the simple protocol, which runs all statements that stand in it. Such
    text is parsed first by a message of the extended protocol, which takes one. With bound values, and for a cursor of
    the server, psycopg uses that protocol anyway. (PostgreSQL's manual, 55.2.3 Extended Query.)
    """
    driver = connection.dialect.driver
    if driver != "psycopg":
        if table.query is not None and driver != "pg8000":  # which knows the extended protocol only
            raise SourceUnavailableError(
                f"the driver {driver!r:.40} cannot hold a query to one statement. Write 'postgresql+psycopg://' in the "
                "url, or declare a table or a view instead of the query"
            )
        return

    def parse(_: Any, cursor: Any, statement: str, parameters: Any, *__: Any) -> None:
        if parameters:
            return
        driven = cursor.connection
        text = statement.replace("%%", "%").encode(driven.info.encoding)
        parsed = driven.pgconn.prepare(b"", text)
        if parsed.error_message:
            message = parsed.error_message.decode(driven.info.encoding, "replace").strip().splitlines()[0]
            raise SourceUnavailableError(_NO_ROWS.format(f"{message:.300}"))

    sa.event.listen(connection, "before_cursor_execute", parse)


def _url(table: Table) -> sa.URL:
    text = table.database.strip()
    if variable := _VARIABLE.match(text):
        text = os.environ.get(variable.group(1), "").strip()
        if not text:
            raise SourceUnavailableError(
                f"the environment variable {variable.group(1)!r} is not set; expected it to hold the URL of the "
                "database. Set it where Dagster's code location runs"
            )
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise SourceUnavailableError(
            "url is not a URL of SQLAlchemy; expected one such as 'postgresql://user:password@host:5432/database' or "
            "'sqlite:///folder/file.db', with special characters of the password percent-encoded"
        ) from None
    if "@" in f"{url.host}{url.database if url.host else ''}":
        raise SourceUnavailableError(
            "url holds '@' where host and database stand; expected it once, before the host. Write '%40' for an '@' of "
            "the password"
        )
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    file = url.database or ""
    if url.get_backend_name() == "sqlite" and file and not file.startswith(("file:", ":")) and not os.path.isfile(file):
        raise SourceUnavailableError(f"there is no file {file!r:.200}. Correct the url")  # else made
    return url


def _engine(url: sa.URL) -> sa.Engine:
    libpq = url.drivername in ("postgresql+psycopg", "postgresql+psycopg2")
    options: dict[str, Any] = {name: value for name, value in _LIBPQ.items() if libpq and name not in url.query}
    try:
        return sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True, connect_args=options)
    except ImportError as problem:
        install = "mlops-assets[postgres]" if url.drivername == "postgresql+psycopg" else "the driver"
        raise SourceUnavailableError(
            f"{url.drivername} needs the package {problem.name!r}, which is not installed. Install {install}"
        ) from None
    except sa.exc.NoSuchModuleError:
        raise SourceUnavailableError(
            f"SQLAlchemy does not know {url.drivername!r:.80}. Correct the url, or install its dialect"
        ) from None
    except (sa.exc.ArgumentError, TypeError, ValueError):
        raise SourceUnavailableError("SQLAlchemy refuses the options of the url. Correct them") from None


def _read_only(connection: sa.Connection) -> None:
    """Let the database hold that nothing is written, and give times in UTC."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.exec_driver_sql("SET LOCAL TIME ZONE 'UTC'")
    elif connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")


def _end_after(connection: sa.Connection, seconds: float) -> None:
    ends = time.monotonic() + seconds

    def limit(_: Any, cursor: Any, *__: Any) -> None:
        milliseconds = max(int(1_000 * (ends - time.monotonic())), 1)
        cursor.execute(f"SET LOCAL statement_timeout = {milliseconds}")

    if connection.dialect.name == "postgresql":
        sa.event.listen(connection, "before_cursor_execute", limit)
    elif connection.dialect.name == "sqlite":
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(lambda: int(time.monotonic() > ends), 100_000)


def _place(url: sa.URL) -> str:
    host = f"{url.host}:{url.port}" if url.host and url.port else url.host
    place = "/".join(part for part in (host, url.database) if part)
    return f"{url.get_backend_name()} at {place:.200}" if place else url.get_backend_name()


def _reason(problem: sa.exc.SQLAlchemyError, url: sa.URL) -> str:
    """Return what the database said, in one line, without SQL, bound values and whatever is secret in the URL."""
    if not isinstance(problem, sa.exc.DBAPIError):
        return f"SQLAlchemy raised {type(problem).__name__}. Correct the declaration"
    message = next((line.strip() for line in str(problem.orig).splitlines() if line.strip()), "")
    for secret in _secrets(url):
        message = message.replace(secret, "***")
    message = masked(message)
    if "statement timeout" in message or message == "interrupted":
        return (
            f"a look took longer than {LOOK_SECONDS:.0f} s. Add an index on the column of time or of the watermark, or "
            "declare a smaller query"
        )
    return _NO_ROWS.format(f"{message or type(problem.orig).__name__:.300}")


def _secrets(url: sa.URL) -> list[str]:
    options = [(name, value if isinstance(value, str) else " ".join(value)) for name, value in url.query.items()]
    plain = [str(url.password or ""), *(value for name, value in options if _SECRET.search(name))]
    every = {form for secret in plain if secret for form in (secret, quote(secret, safe=""), quote_plus(secret))}
    return sorted(every, key=len, reverse=True)
