"""Records as dataclasses: a damaged record is skipped and logged, and the other records are read."""

import json
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
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
_LOGGED: set[str] = set()
_MOST_LOGGED = 10_000
_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def store_of(storage: Storage) -> "RecordStore":
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

    def with_rows(self, rows: "Iterable[Stored]", kind: type[Any], place: str, revision: int = 0) -> "View":
        """Return the view with newer rows added; the records are in order of key."""
        records, damaged, written = dict(self.records), dict(self.damaged), dict(self.written)
        for row in rows:
            for known in (records, damaged, written):
                known.pop(row.key, None)
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


class Records(Generic[Record]):
    """The records of one kind of one model, by key."""

    def __init__(self, storage: Storage, model: str, record: type[Record], part: str = "") -> None:
        """`part` tells apart several records of the same type on one key."""
        self._store, self._model, self._of = store_of(storage), model, record
        self._kind = f"{record.KIND}/{part}" if part else record.KIND

    def put(self, key: str, record: Record) -> None:
        """Write a record in place of the earlier record, whose unknown fields are kept."""
        with self.writing() as writing:
            writing.put(key, record)

    def remove(self, key: str) -> None:
        """Withdraw a record."""
        self._store.put(self._model, self._kind, key, None)

    @contextmanager
    def writing(self) -> Iterator["TypedWriting[Record]"]:
        """Lock these records against other writers in a transaction of their own."""
        with self._store.transaction() as transaction:
            yield self.inside(transaction)

    def inside(self, transaction: "Transaction") -> "TypedWriting[Record]":
        """Lock these records in an open transaction."""
        return TypedWriting(transaction.writing(self._model, self._kind), self._of, self._store.place)

    def transaction(self) -> "AbstractContextManager[Transaction]":
        """Open a transaction for records of several kinds."""
        return self._store.transaction()

    def get(self, key: str) -> Record | None:
        """Return a record, None if there is none or it cannot be read; damage is logged."""
        view = self._view() if self._store.taken is not None else self._one(key)
        _log_damage(view)
        return view.records.get(key)

    def sound(self, key: str) -> Record | None:
        """Return a record, None if there is none; raise `DamagedRecordError` if it cannot be read."""
        return self.with_revision(key)[0]

    def with_revision(self, key: str) -> tuple[Record | None, int]:
        """Return a record as `sound` does, and its revision, which `put` may expect."""
        row = self._store.get(self._model, self._kind, key)
        if row is None:
            return None, 0
        view = View().with_rows([row], self._of, self._store.place)
        for damaged in view.damaged.values():
            raise DamagedRecordError(f"{damaged.reason}: {MEND}")
        return view.records.get(key), row.revision

    def all(self) -> dict[str, Record]:
        """Return the readable records by key, in order of key; damage is logged."""
        view = self._view()
        _log_damage(view)
        return dict(view.records)

    def damaged(self) -> list[Damaged]:
        """Return the records that cannot be read, in order of key."""
        return [damaged for _, damaged in sorted(self._view().damaged.items())]

    def written(self, key: str) -> datetime:
        """Return when a record was last written (UTC); 1970 if there is no record."""
        return self._view().written.get(key, datetime.fromtimestamp(0, UTC))

    def _one(self, key: str) -> View:
        row = self._store.get(self._model, self._kind, key)
        return View().with_rows([] if row is None else [row], self._of, self._store.place)

    def _view(self) -> View:
        """Read the newer records. Under `at_once` one query reads them for all models whose views are out of date."""
        store, taken = self._store, self._store.taken
        now = store.revision(self._model, self._kind)
        known = self._known(self._model)
        if known.revision == now or (taken is not None and known.revision > now):
            return known
        behind = {self._model: known if known.revision < now else View()}  # a restored backup is read anew
        for (model, kind), revision in (taken or {}).items():
            if kind == self._kind and self._known(model).revision < revision:
                behind[model] = self._known(model)
        rows: dict[str, list[Stored]] = {}
        for row in store.since(self._kind, {model: view.revision for model, view in behind.items()}):
            rows.setdefault(row.model, []).append(row)
        for model, view in behind.items():
            at = now if model == self._model else 0
            store.views[(model, self._kind)] = view.with_rows(rows.get(model, ()), self._of, store.place, at)
        return self._known(self._model)

    def _known(self, model: str) -> View:
        view: View = self._store.views.get((model, self._kind)) or View()
        return view


class TypedWriting(Generic[Record]):
    """The records of one kind of one model inside a transaction that holds them."""

    def __init__(self, writing: "Writing", of: type[Record], place: str) -> None:
        self._writing, self._of, self._place = writing, of, place

    def get(self, key: str) -> Record | None:
        """Return the current record of a key; raise `DamagedRecordError` if it cannot be read."""
        row = self._writing.get(key)
        return None if row is None else self._view([row]).get(key)

    def all(self) -> dict[str, Record]:
        """Return all current records; raise `DamagedRecordError` if one cannot be read."""
        return self._view(self._writing.all())

    def sound(self) -> dict[str, Record]:
        """Return the current records that can be read."""
        return View().with_rows(self._writing.all(), self._of, self._place).records

    def put(self, key: str, record: Record, *, expected: int | None = None) -> int:
        """Write a record and return its revision, as `Writing.put`; the earlier record's unknown fields are kept."""
        row = self._writing.get(key)
        own = {each.name for each in fields(self._of)}  # type: ignore[arg-type]  # any dataclass
        kept = {name: value for name, value in _plain(row).items() if name not in own}
        return self._writing.put(key, {**kept, **asdict(record)}, expected=expected)  # type: ignore[call-overload]

    def _view(self, rows: "Iterable[Stored]") -> dict[str, Record]:
        view = View().with_rows(rows, self._of, self._place)
        for damaged in view.damaged.values():
            raise DamagedRecordError(f"{damaged.reason}: {MEND}")
        return view.records


def record_of(kind: type[Record], value: Any) -> Record:
    """Return a plain JSON value as a record; raise `ValueError` that names the field that does not fit.

    Unknown fields are left out: a newer release may have written them.
    """
    try:
        made: Record = _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error
    for each in fields(kind):  # type: ignore[arg-type]  # any dataclass
        moment = getattr(made, each.name)
        if each.name in _MOMENTS and moment:
            try:
                datetime.fromisoformat(moment)
            except ValueError as error:
                raise ValueError(f"{each.name}: not a moment in ISO 8601") from error
    return made


def log_damage(problem: str) -> None:
    """Log a damaged record once for each process: sensors read it every few seconds."""
    if problem not in _LOGGED and len(_LOGGED) < _MOST_LOGGED:
        _LOGGED.add(problem)
        dg.get_dagster_logger("mlops_assets").warning(f"a record is skipped: {problem}")


def _log_damage(view: View) -> None:
    for damaged in view.damaged.values():
        log_damage(damaged.reason)


def _plain(row: "Stored | None") -> dict[str, Any]:
    """Return the fields of a stored record, {} if it cannot be read."""
    try:
        value = json.loads(row.value) if row is not None and row.value is not None else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
