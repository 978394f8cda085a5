"""The revision of a database that Alembic migrates, compared with the revisions that an installed package knows.

Nothing here opens a database for writing: MLflow migrates one by merely reading it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from mlops_assets.lazy import sa

Comparison = Literal["equal", "older", "newer"]

_SCRIPTS = {"mlflow": "store/db_migrations/versions", "dagster": "_core/storage/alembic/versions"}
_REVISION = re.compile(r"^(down_revision|revision)\b[^=\n]*= *(.+)$", re.MULTILINE)
_KNOWN: dict[str, Mapping[str, set[str]]] = {}


def known_revisions(package: str) -> Mapping[str, set[str]]:
    """Return each revision that an installed package knows, with the revisions before it.

    The migrations are read as text (3 ms): importing them takes a second, and a client asks in each process.
    """
    if package not in _KNOWN:
        spec = find_spec(package)
        folder = Path(str(spec.origin)).parent if spec is not None else Path()
        known: dict[str, set[str]] = {}
        for script in (folder / _SCRIPTS[package]).glob("*.py"):
            values = {name: set(re.findall(r"[\"'](\w+)[\"']", value)) for name, value in _revisions(script)}
            known |= {revision: values.get("down_revision", set()) for revision in values.get("revision", ())}
        _KNOWN[package] = known
    return _KNOWN[package]


def newest_revision(package: str) -> str:
    """Return the revision that a package migrates a database to, "" if it cannot be found."""
    known = known_revisions(package)
    return next(iter(set(known).difference(*known.values())), "")


def compared(revision: str, package: str) -> Comparison:
    """Compare the revision of a database with the revisions that an installed package knows."""
    if revision not in known_revisions(package):
        return "newer"
    return "equal" if revision == newest_revision(package) else "older"


def revision_of_file(path: Path, *, mode: Literal["ro", "rw"] = "ro", seconds: float = 5) -> str:
    """Return the revision of an SQLite file, "" if there is no file or Alembic never migrated it.

    `rw` does not write either, but lets SQLite roll back what a killed process left half written.
    """
    if not path.exists():
        return ""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, timeout=seconds)) as database:
            row = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return ""
    return "" if row is None else str(row[0])


def revision_of_server(url: str) -> str:
    """Return the revision of a database of a server, read in a transaction that cannot write; "" without one."""
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    options = {"postgresql_readonly": True} if engine.dialect.name == "postgresql" else {}
    with engine.connect().execution_options(**options) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return ""
        return str(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() or "")


def _revisions(script: Path) -> list[tuple[str, str]]:
    return _REVISION.findall(script.read_text(encoding="utf-8"))
