"""MLflow's SQLite file before another version of MLflow opens it: kept aside, or refused with what to do.

A newer MLflow migrates the file by merely reading it, and the MLflow of before then refuses it.
"""

from __future__ import annotations

import logging
import os
import re
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

from mlops_assets.errors import RegistryError
from mlops_assets.resources.schema_revisions import compared, newest_revision, revision_of_file

_LOG = logging.getLogger("mlops_assets")
_PATIENCE = 20  # seconds for another process's lock, as MLflow itself has


def guard(database: Path) -> None:
    """Copy MLflow's file aside if this client would migrate it; raise `RegistryError` if a newer client has.

    The copy, `<file>.before-<version of this client>`, is kept. If the file was written since, as after the copy was
    put back, a second copy `.newest` is made, and replaced from then on.
    """
    revision = revision_of_file(database, mode="rw", seconds=_PATIENCE)
    if not revision:
        return
    state = compared(revision, "mlflow")
    if state == "newer":
        raise RegistryError(refusal(database, revision))
    if state == "older":
        copy = database.with_name(f"{database.name}.before-{version('mlflow')}")
        copy = copy.with_name(f"{copy.name}.newest") if copy.exists() and _written_since(database, copy) else copy
        if not copy.exists() or _written_since(database, copy):
            _copied(database, copy)
            _LOG.warning(
                f"MLflow {version('mlflow')} migrates {database} from schema {revision} to "
                f"{newest_revision('mlflow')}; an older MLflow cannot read it from then on. Kept from before: {copy}"
            )


def refusal(database: Path, revision: str) -> str:
    """Return why this client cannot read a file, naming both versions and the copy of before where they are known."""
    copies = sorted(database.parent.glob(f"{database.name}.before-*"), key=lambda copy: copy.stat().st_mtime)
    if not copies:
        return (
            f"a newer MLflow than {version('mlflow')}, which is installed here, has migrated {database} to schema "
            f"{revision}: install the version that the other processes have, or put back a backup of before"
        )
    newer = re.sub(r"\.newest$", "", copies[-1].name.removeprefix(f"{database.name}.before-"))
    return (
        f"MLflow {newer} has migrated {database} to schema {revision}, which MLflow {version('mlflow')}, installed "
        f"here, cannot read: install MLflow {newer} or newer, or end all processes and put back the file of before, "
        f"{copies[-1]}, which lacks what was written since"
    )


def _written_since(database: Path, copy: Path) -> bool:
    return database.stat().st_mtime > copy.stat().st_mtime


def _copied(database: Path, copy: Path) -> None:
    """Make a whole copy, also while others write, and put it in place at once."""
    unfinished = copy.with_name(f".{copy.name}.{os.getpid()}")
    try:
        with (
            closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=_PATIENCE)) as source,
            closing(sqlite3.connect(unfinished)) as target,
        ):
            source.backup(target)
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(copy)
    except (OSError, sqlite3.Error) as error:
        raise RegistryError(
            f"MLflow {version('mlflow')} would migrate {database}, which cannot be copied to {copy} before: {error}. "
            "Make room, or let the user of this process write there"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
