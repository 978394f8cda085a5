"""A deployment that goes back to where it was: what tests share is made once, and none sees what another did."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from support.deployment import Deployment


class RewoundDeployment(Deployment):
    """Remembers its files, and puts them back with all that MLflow and Dagster hold of them."""

    def remember(self) -> None:
        """Copy everything below `home`."""
        shutil.rmtree(self._copy, ignore_errors=True)
        shutil.copytree(self.home, self._copy, ignore=shutil.ignore_patterns("*-wal", "*-shm", "*.db"))
        for database in self.home.rglob("*.db"):
            _copied(database, self._copy / database.relative_to(self.home))

    def rewind(self) -> None:
        """Make everything below `home` what it was; databases by SQLite, since connections to them are open."""
        self.instance.event_log_storage._initialized_dbs = set()  # those of runs that never were make theirs anew
        for path in self.home.rglob("*"):
            kept = self._copy / path.relative_to(self.home)
            if path.is_file() and not kept.exists() and not path.name.endswith(("-wal", "-shm")):
                path.unlink()
        for kept in self._copy.rglob("*"):
            path = self.home / kept.relative_to(self._copy)
            if kept.name == "records.db":  # as a backup is restored: nothing keeps a connection to it
                _replaced(kept, path)
            elif kept.suffix == ".db":
                _copied(kept, path)
            elif kept.is_file():
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(kept, path)

    @property
    def _copy(self) -> Path:
        return self.home.with_name(f"{self.home.name}_kept")


def _copied(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as ours, closing(sqlite3.connect(target)) as theirs:
        ours.backup(theirs)


def _replaced(source: Path, target: Path) -> None:
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    new = target.with_suffix(".new")
    shutil.copy2(source, new)
    new.replace(target)
