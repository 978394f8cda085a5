"""The database of records: its records, the changes since a revision, and writes in transactions."""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from mlops_assets.errors import RecordsError, StaleRecordError
from mlops_assets.records.engine import engine_of, place_of
from mlops_assets.records.migrate import NEWEST, check_known, migrate, schema_of
from mlops_assets.records.tables import COUNTERS, RECORDS

Revisions = Mapping[tuple[str, str], int]
"""(model, kind) to its newest revision."""

FORMAT = 1
"""The format of the records that this release writes. A newer format adds fields and keeps these."""

_LOCK = sa.text(
    "INSERT INTO mlops_assets_revisions (model, kind, revision) VALUES (:model, :kind, 0) "
    "ON CONFLICT (model, kind) DO UPDATE SET revision = mlops_assets_revisions.revision RETURNING revision"
)


_TAKEN: ContextVar[tuple["RecordStore | None", Revisions]] = ContextVar("taken", default=(None, {}))


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A stored record: `value` is JSON, None for a withdrawn record; `written` is in seconds since 1970."""

    model: str
    kind: str
    key: str
    revision: int
    format: int
    written: float
    value: str | None


class RecordStore:
    """The records of all models in one database. The first write creates the database.

    Every failure of the database is a `RecordsError`.
    """

    def __init__(self, url: str) -> None:
        self._engine = engine_of(url)
        self._schema = ""
        self._file_id: object = None
        self.views: dict[tuple[str, str], Any] = {}
        """The records that `typed` has read, by model and kind, so that it reads only newer records."""

    @property
    def place(self) -> str:
        """The address of the database, without a password."""
        return place_of(self._engine.url)

    @property
    def file(self) -> Path | None:
        """The file of the database, None for a server."""
        name = self._engine.url.database
        return Path(name) if self._engine.dialect.name == "sqlite" and name else None

    def schema(self) -> str:
        """Return the schema of the database, "" if there are no records yet."""
        with self._reading() as connection:
            return "" if connection is None else schema_of(connection)

    def revisions(self) -> Revisions:
        """Return the newest revision of each kind of each model: one query for all."""
        return {(row.model, row.kind): row.revision for row in self._rows(sa.select(COUNTERS))}

    def revision(self, model: str, kind: str) -> int:
        """Return the newest revision of a kind of a model; 0 if it has none."""
        if self.taken is not None:
            return self.taken.get((model, kind), 0)
        counters = self._rows(sa.select(COUNTERS).where(_of_kind(COUNTERS, model, kind)))
        return int(counters[0].revision) if counters else 0

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Read inside this context by the revisions at its start: a kind that did not change is not queried.

        It is for sensors, which look at all models and write nothing.
        """
        token = _TAKEN.set((self, self.revisions()))
        try:
            yield
        finally:
            _TAKEN.reset(token)

    @property
    def taken(self) -> Revisions | None:
        """The revisions by which `at_once` reads, None outside `at_once`."""
        store, revisions = _TAKEN.get()
        return revisions if store is self else None

    def get(self, model: str, kind: str, key: str) -> Stored | None:
        """Return one record, None if there is none; a withdrawn record has no text."""
        rows = self._rows(_select(model, kind, key))
        return _stored(rows[0]) if rows else None

    def since(self, kind: str, revisions: Mapping[str, int]) -> list[Stored]:
        """Return the records of a kind that are newer than the revision given for each model, oldest first."""
        oldest, models = min(revisions.values(), default=0), list(revisions)
        wanted = sa.select(RECORDS).where(RECORDS.c.kind == kind, RECORDS.c.revision > oldest)
        wanted = wanted.where(RECORDS.c.model.in_(models)) if len(models) <= _MOST_NAMED else wanted
        rows = self._rows(wanted.order_by(RECORDS.c.revision))
        return [_stored(row) for row in rows if row.revision > revisions.get(row.model, row.revision)]

    def put(self, model: str, kind: str, key: str, value: Any, *, expected: int | None = None) -> int:
        """Write one record and return its revision; see `Writing.put`."""
        with self.transaction() as transaction:
            return transaction.writing(model, kind).put(key, value, expected=expected)

    @contextmanager
    def transaction(self) -> Iterator["Transaction"]:
        """Write everything put in this context at its end or, after an error, nothing.

        SQLite has one writer at a time: do whatever takes long before.
        """
        self._watch_file()
        with self._errors(), self._engine.connect().execution_options(immediate=True) as connection, connection.begin():
            if self._schema != NEWEST:
                migrate(connection)
            yield Transaction(connection)
        self._watch_file()
        self._schema = NEWEST

    def try_write(self) -> None:
        """Write something and take it back at once: a full or read-only database can be read, and takes no record."""
        with (
            self._errors(),
            self._engine.connect().execution_options(immediate=True) as connection,
            closing(connection.begin()),  # which rolls it back
        ):
            Transaction(connection).writing("", "doctor")

    def _rows(self, query: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        with self._reading() as connection:
            return [] if connection is None else connection.execute(query).all()

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection | None]:
        """Yield a connection that sees one state, None if there are no records yet."""
        self._watch_file()
        if self.file is not None and not self.file.exists():
            yield None
            return
        with self._errors(), self._engine.connect() as connection, connection.begin():
            if self._schema != NEWEST:
                self._schema = schema_of(connection)
                check_known(self._schema)
            yield connection if self._schema else None

    def _watch_file(self) -> None:
        """Forget what was read if another file is in place, as after a backup was restored."""
        if self.file is None:
            return
        file_id: object = None
        with suppress(OSError):
            stat = self.file.stat()
            file_id = (stat.st_dev, stat.st_ino)
        if file_id != self._file_id:
            self._file_id, self._schema = file_id, ""
            self.views.clear()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (sa.exc.SQLAlchemyError, OSError) as error:
            reason = " ".join(str(getattr(error, "orig", None) or error).split())[:300]
            raise RecordsError(
                f"the database of records at {self.place} does not answer as expected: {reason}. Look at its server or "
                "disk, and at what else holds it; nothing was written"
            ) from error


class Transaction:
    """An open transaction."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._held: dict[tuple[str, str], Writing] = {}

    def writing(self, model: str, kind: str) -> "Writing":
        """Lock one kind of records of a model against all other writers until the transaction ends."""
        if (model, kind) not in self._held:
            revision = int(self._connection.execute(_LOCK, {"model": model, "kind": kind}).scalar_one())
            self._held[(model, kind)] = Writing(self._connection, model, kind, revision)
        return self._held[(model, kind)]


class Writing:
    """One kind of records of one model inside a transaction that holds it."""

    def __init__(self, connection: sa.Connection, model: str, kind: str, revision: int) -> None:
        self._connection, self._model, self._kind, self._revision = connection, model, kind, revision

    def get(self, key: str) -> Stored | None:
        """Return the current record of a key."""
        row = self._connection.execute(_select(self._model, self._kind, key)).one_or_none()
        return None if row is None else _stored(row)

    def all(self) -> Sequence[Stored]:
        """Return all records except withdrawn ones, oldest first."""
        wanted = sa.select(RECORDS).where(_of_kind(RECORDS, self._model, self._kind))
        rows = self._connection.execute(wanted.order_by(RECORDS.c.revision)).all()
        return [_stored(row) for row in rows if row.value is not None]

    def put(self, key: str, value: Any, *, expected: int | None = None) -> int:
        """Write a plain JSON value, None to withdraw the record; return its revision.

        expected: the revision that the record must have, 0 for a new record; `StaleRecordError` otherwise.
        A value that equals the stored value is not written again.
        """
        name, before = f"record {self._model}/{self._kind}/{key}", self.get(key)
        revision = 0 if before is None else before.revision
        if expected is not None and revision != expected:
            raise StaleRecordError(
                f"{name} has revision {revision}, and {expected} was expected: another process wrote it; read it again"
            )
        try:
            text = None if value is None else json.dumps(value)
        except (TypeError, ValueError) as error:
            raise RecordsError(f"{name} is not a plain JSON value: {error}") from error
        if before is not None and before.value == text:
            return revision
        self._revision += 1
        row = {"revision": self._revision, "format": FORMAT, "written": time.time(), "value": text}
        if before is None:
            self._connection.execute(sa.insert(RECORDS).values(model=self._model, kind=self._kind, key=key, **row))
        else:
            this = _of_kind(RECORDS, self._model, self._kind) & (RECORDS.c.key == key)
            self._connection.execute(sa.update(RECORDS).where(this).values(**row))
        counter = _of_kind(COUNTERS, self._model, self._kind)
        self._connection.execute(sa.update(COUNTERS).where(counter).values(revision=self._revision))
        return self._revision


_MOST_NAMED = 500


def _of_kind(table: sa.Table, model: str, kind: str) -> sa.ColumnElement[bool]:
    return (table.c.model == model) & (table.c.kind == kind)


def _select(model: str, kind: str, key: str) -> sa.Select[Any]:
    return sa.select(RECORDS).where(_of_kind(RECORDS, model, kind), RECORDS.c.key == key)


def _stored(row: sa.Row[Any]) -> Stored:
    return Stored(**row._mapping)


_STORES: dict[tuple[int, str], RecordStore] = {}


def store_at(url: str) -> RecordStore:
    """Return the store of a database, one for each process: a connection must not outlive a fork."""
    place = (os.getpid(), url)
    if place not in _STORES:
        _STORES[place] = RecordStore(url)
    return _STORES[place]
