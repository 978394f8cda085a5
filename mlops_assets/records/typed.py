"""Records as dataclasses: a damaged record is skipped and logged, and the other records are read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from mlops_assets.errors import DamagedRecordError
from mlops_assets.records.engine import database_of
from mlops_assets.resources.storage import Storage

if TYPE_CHECKING:
    from mlops_assets.records.store import RecordStore, Stored, Transaction, Writing


class HasKind(Protocol):
    """A dataclass whose instances are records; KIND names them in the database."""

    KIND: ClassVar[str]


Record = TypeVar("Record", bound=HasKind)

MEND = "restore the database from a backup, or let the step that writes this record run again"

_MOMENTS = {"at", "since", "again_at", "start", "end"}


def store_of(storage: Storage) -> RecordStore:
    """Return the database of records that belongs to a storage; SQLAlchemy is loaded here, at first use."""
    from mlops_assets.records.store import store_at

    return store_at(database_of(storage.database, storage.root))


@dataclass(frozen=True)
class Damaged:
    """A record that cannot be read, and a sentence with the reason."""

    kind: str
    key: str
    revision: int
    reason: str


@dataclass(frozen=True)
class View:
    """The records of one kind of one model, as read up to a revision."""

    revision: int = 0
    records: dict[str, Any] = field(default_factory=dict)
    damaged: dict[str, Damaged] = field(default_factory=dict)
    written: dict[str, datetime] = field(default_factory=dict)

    def with_rows(self, rows: Iterable[Stored], kind: type[Any], place: str, revision: int = 0) -> View:
        """Return the view with newer rows added; the records are in order of key."""
        records, damaged, written = dict(self.records), dict(self.damaged), dict(self.written)
        for row in rows:
            for values in (records, damaged, written):
                values.pop(row.key, None)
            revision = max(revision, row.revision)
            if row.value is None:
                continue
            written[row.key] = datetime.fromtimestamp(row.written, UTC)
            try:
                records[row.key] = record_of(kind, json.loads(row.value))
            except (ValueError, RecursionError) as error:
                reason = f"record {row.model}/{row.kind}/{row.key} in {place} is not a {kind.__name__} ({error})"
                damaged[row.key] = Damaged(row.kind, row.key, row.revision, reason)
        return View(max(self.revision, revision), dict(sorted(records.items())), damaged, written)

    def readable(self) -> dict[str, Any]:
        """Return the records that can be read; log the damaged records."""
        for damaged in self.damaged.values():
            log_damage(damaged.reason)
        return self.records

    def sound(self) -> dict[str, Any]:
        """Return the records; raise `DamagedRecordError` if one cannot be read."""
        for damaged in self.damaged.values():
            raise DamagedRecordError(f"{damaged.reason}: {MEND}")
        return self.records


class Records(Generic[Record]):
    """The records of one kind of one model, by key."""

    def __init__(self, storage: Storage, model: str, record: type[Record], part: str = "") -> None:
        """`part` tells apart several records of the same type on one key."""
        self._store, self._model, self._of = store_of(storage), model, record
        self._kind = f"{record.KIND}/{part}" if part else record.KIND

    def put(self, key: str, record: Record | None) -> None:
        """Write a record in place of the earlier record, whose unknown fields are kept; None withdraws it."""
        with self.writing() as writing:
            writing.put(key, record)

    @contextmanager
    def writing(self) -> Iterator[TypedWriting[Record]]:
        """Lock these records against other writers in a transaction of their own."""
        with self._store.transaction() as transaction:
            yield self.inside(transaction)

    def inside(self, transaction: Transaction) -> TypedWriting[Record]:
        """Lock these records in an open transaction."""
        return TypedWriting(transaction.writing(self._model, self._kind), self._of, self._store.place)

    def get(self, key: str) -> Record | None:
        """Return a record, None if there is none or it cannot be read; damage is logged."""
        return self._seen(key).readable().get(key)

    def sound(self, key: str) -> Record | None:
        """Return a record, None if there is none; raise `DamagedRecordError` if it cannot be read."""
        view = self._seen(key)
        if damaged := view.damaged.get(key):
            raise DamagedRecordError(f"{damaged.reason}: {MEND}")
        return view.records.get(key)

    def with_revision(self, key: str) -> tuple[Record | None, int]:
        """Return a record as `sound` does, and its revision, which `put` may expect."""
        view = self._one(key)
        return view.sound().get(key), view.revision

    def all(self) -> dict[str, Record]:
        """Return the readable records by key, in order of key; damage is logged."""
        return dict(self._view().readable())

    def damaged(self) -> list[Damaged]:
        """Return the records that cannot be read, in order of key."""
        return [damaged for _, damaged in sorted(self._view().damaged.items())]

    def written(self, key: str) -> datetime:
        """Return when a record was last written (UTC); 1970 if there is no record."""
        return self._view().written.get(key, datetime.fromtimestamp(0, UTC))

    def _seen(self, key: str) -> View:
        """Return a view with this record: of all models at once under `at_once`, else of this record alone."""
        return self._view() if self._store.taken is not None else self._one(key)

    def _one(self, key: str) -> View:
        row = self._store.get(self._model, self._kind, key)
        return View().with_rows([] if row is None else [row], self._of, self._store.place)

    def _view(self) -> View:
        """Read the newer records. Under `at_once` one query reads them for all models whose views are out of date."""
        store, taken = self._store, self._store.taken
        now = store.revision(self._model, self._kind)
        last = self._last_view(self._model)
        if last.revision == now or (taken is not None and last.revision > now):
            return last
        behind = {self._model: last if last.revision < now else View()}  # a restored backup is read anew
        for (model, kind), revision in (taken or {}).items():
            if kind == self._kind and self._last_view(model).revision < revision:
                behind[model] = self._last_view(model)
        rows: dict[str, list[Stored]] = {}
        for row in store.since(self._kind, {model: view.revision for model, view in behind.items()}):
            rows.setdefault(row.model, []).append(row)
        for model, view in behind.items():
            at = now if model == self._model else 0
            store.views[(model, self._kind)] = view.with_rows(rows.get(model, ()), self._of, store.place, at)
        return self._last_view(self._model)

    def _last_view(self, model: str) -> View:
        view: View = self._store.views.get((model, self._kind)) or View()
        return view


class TypedWriting(Generic[Record]):
    """The records of one kind of one model inside a transaction that holds them."""

    def __init__(self, writing: Writing, of: type[Record], place: str) -> None:
        self._writing, self._of, self._place = writing, of, place

    def get(self, key: str) -> Record | None:
        """Return the current record of a key; raise `DamagedRecordError` if it cannot be read."""
        row = self._writing.get(key)
        return self._view([] if row is None else [row]).sound().get(key)

    def all(self) -> dict[str, Record]:
        """Return all current records; raise `DamagedRecordError` if one cannot be read."""
        return self._view(self._writing.all()).sound()

    def sound(self) -> dict[str, Record]:
        """Return the current records that can be read."""
        return self._view(self._writing.all()).records

    def put(self, key: str, record: Record | None, *, expected: int | None = None) -> int:
        """Write a record and return its revision, as `Writing.put`; the earlier record's unknown fields are kept."""
        if record is None:
            return self._writing.put(key, None, expected=expected)
        own = _field_names(self._of)
        unknown = {name: value for name, value in _plain(self._writing.get(key)).items() if name not in own}
        return self._writing.put(key, {**unknown, **asdict(record)}, expected=expected)  # type: ignore[call-overload]

    def _view(self, rows: Iterable[Stored]) -> View:
        return View().with_rows(rows, self._of, self._place)


def record_of(kind: type[Record], value: Any) -> Record:
    """Return a plain JSON value as a record; raise `ValueError` that names the field that does not fit.

    Unknown fields are left out: a newer release may have written them.
    """
    try:
        record: Record = _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error
    for name in _field_names(kind):
        if name in _MOMENTS and (moment := getattr(record, name)):
            try:
                datetime.fromisoformat(moment)
            except ValueError as error:
                raise ValueError(f"{name}: not a moment in ISO 8601") from error
    return record


@lru_cache(maxsize=10_000)
def log_damage(problem: str) -> None:
    """Log a damaged record once for each process: sensors read it every few seconds."""
    dg.get_dagster_logger("mlops_assets").warning(f"a record is skipped: {problem}")


def _field_names(kind: type[Any]) -> list[str]:
    return [attribute.name for attribute in fields(kind)]


def _plain(row: Stored | None) -> dict[str, Any]:
    """Return the fields of a stored record, {} if it cannot be read."""
    try:
        value = json.loads(row.value) if row is not None and row.value is not None else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
