"""Dagster's SQLite storage with connections that stay open: a run opens and closes hundreds of them otherwise.

It imports Dagster's private modules itself, as seen in Dagster 1.13.27: `dagster_private`, which every process imports,
would import SQLAlchemy with them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.base_storage import DagsterStorage
from dagster._core.storage.event_log import EventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.runs import RunStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules import ScheduleStorage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage

from mlops_assets.dagster_private import ConfigurableClass, ConfigurableClassData

_SECONDS_TO_WRITE = 30.0
"""How long a transaction waits for those of other processes, as Dagster's own do for events."""


class SqliteStorage(DagsterStorage[dg.DagsterInstance], ConfigurableClass):
    """Keep Dagster's records in SQLite, in the files in which Dagster keeps them, with fewer connections.

    Dagster opens and closes a connection for each of the two to four transactions of an event. The last one to close
    has SQLite copy what was written into the main file, and wait for the disk. Here a process keeps its connections:
    to the records of runs, to those of sensors, to the index of events, and to the events of the run that it used
    last. Each transaction is written to the disk as before.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._runs, self._events, self._schedules = KeptRunStorage(), KeptEventLogStorage(), KeptScheduleStorage()
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """See `ConfigurableClass`."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """See `ConfigurableClass`: the files are below the folder of the instance, so there is nothing to set."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> SqliteStorage:
        """See `ConfigurableClass`."""
        return cls(inst_data)

    @property
    def run_storage(self) -> RunStorage[dg.DagsterInstance]:
        """See `DagsterStorage`."""
        return self._runs

    @property
    def event_log_storage(self) -> EventLogStorage[dg.DagsterInstance]:
        """See `DagsterStorage`."""
        return self._events

    @property
    def schedule_storage(self) -> ScheduleStorage[dg.DagsterInstance]:
        """See `DagsterStorage`."""
        return self._schedules


class KeptConnection:
    """A connection to one SQLite file, opened again after a fork, and when another file is in its place."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._engine = self._new_engine()
        self._opened: tuple[int, ...] = ()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Yield the connection in a transaction, which ends with the block."""
        if self._opened and self._opened != self._place():
            self._renew()
        with self._engine.begin() as connection:
            self._opened = self._opened or self._place()
            yield connection

    def close(self) -> None:
        """Close the connection; the next transaction opens another one."""
        if self._opened:
            self._renew()

    def _renew(self) -> None:
        if self._opened[0] == os.getpid():
            self._engine.dispose()
        else:
            _of_parents.append(self._engine)
            self._engine = self._new_engine()
        self._opened = ()

    def _new_engine(self) -> sa.Engine:
        return sa.create_engine(
            self._address,
            poolclass=sa.QueuePool,
            pool_size=1,
            max_overflow=-1,  # several threads may read the records of runs at once
            connect_args={"timeout": _SECONDS_TO_WRITE, "check_same_thread": False},
        )

    def _place(self) -> tuple[int, ...]:
        """Return the process, and the file that is at the address."""
        try:
            file = os.stat(str(self._engine.url.database))
        except FileNotFoundError:
            return (os.getpid(),)
        return os.getpid(), file.st_dev, file.st_ino


_of_parents: list[sa.Engine] = []
"""Connections that a process opened before it was forked: SQLite wants a child not even to close them."""


class InInstanceFolder:
    """A storage that learns from its instance where its file is; until then it has no state."""

    def __init__(self) -> None:
        pass

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """Become what Dagster's own storage is for the folder of the instance."""
        vars(self).update(vars(self._own(Path(instance.root_directory))))
        super().register_instance(instance)  # type: ignore[misc]

    @staticmethod
    def _own(folder: Path) -> object:
        raise NotImplementedError


class OneFile(InInstanceFolder):
    """A storage of one file."""

    _conn_string: str

    @cached_property
    def _kept(self) -> KeptConnection:
        return KeptConnection(self._conn_string)

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """Yield the connection in a transaction."""
        with self._kept.transaction() as connection:
            yield connection

    def dispose(self) -> None:
        """Close the connection."""
        self._kept.close()
        super().dispose()  # type: ignore[misc]


class KeptRunStorage(OneFile, SqliteRunStorage):
    """The records of runs."""

    @staticmethod
    def _own(folder: Path) -> SqliteRunStorage:
        return SqliteRunStorage.from_local(str(folder / "history"))


class KeptScheduleStorage(OneFile, SqliteScheduleStorage):
    """The state and the ticks of sensors and schedules."""

    @staticmethod
    def _own(folder: Path) -> SqliteScheduleStorage:
        return SqliteScheduleStorage.from_local(str(folder / "schedules"))


class KeptEventLogStorage(InInstanceFolder, SqliteEventLogStorage):
    """The events of all runs: a file for each run, and an index."""

    @staticmethod
    def _own(folder: Path) -> SqliteEventLogStorage:
        return SqliteEventLogStorage(str(folder / "history" / "runs"))

    @cached_property
    def _kept(self) -> dict[str, KeptConnection]:
        return {}

    @cached_property
    def _tables(self) -> set[str]:
        return set()

    def has_table(self, table_name: str) -> bool:
        """See `SqlEventLogStorage`; a table that is there is not looked up again."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        if shard not in self._initialized_dbs:
            with super()._connect(shard):  # creates its tables
                pass
        with self._db_lock, self._connection(shard).transaction() as connection:
            yield connection

    def _connection(self, shard: str) -> KeptConnection:
        """Return the connection to a file; of runs only the newest one stays."""
        if shard not in self._kept:
            for earlier in self._kept.keys() - {INDEX_SHARD_NAME} if shard != INDEX_SHARD_NAME else ():
                self._kept.pop(earlier).close()
            self._kept[shard] = KeptConnection(self.conn_string_for_shard(shard))
        return self._kept[shard]

    def store_event(self, event: dg.EventLogEntry) -> None:
        """See `EventLogStorage`."""
        super().store_event(event)
        # The page of a run waits for changes of the file, which are in another one (`-wal`) until that is copied.
        os.utime(self.path_for_shard(event.run_id))

    def dispose(self) -> None:
        """See `EventLogStorage`."""
        for connection in self._kept.values():
            connection.close()
        super().dispose()
