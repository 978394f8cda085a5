"""Records in storage as dataclasses: one that is cut or misshaped is skipped and logged, and stops no other."""

from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from mlops_assets.errors import DamagedRecordError
from mlops_assets.resources.storage import Storage

Record = TypeVar("Record")

_MOMENTS = {"at", "since", "again_at", "start", "end"}
_LOGGED: set[str] = set()
_MOST_LOGGED = 10_000
_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def record_of(kind: type[Record], value: Any) -> Record:
    """A plain JSON value as a record; `ValueError` that names the field for any that has not its shape.

    Fields that the record does not know are left out: a newer release may have written them.
    """
    try:
        made: Record = _adapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error
    for field in fields(kind):  # type: ignore[arg-type]  # any dataclass
        moment = getattr(made, field.name)
        if field.name in _MOMENTS and moment:
            try:
                datetime.fromisoformat(moment)
            except ValueError as error:
                raise ValueError(f"{field.name}: no moment in ISO 8601") from error
    return made


def one_record(storage: Storage, kind: type[Record], model: str, *parts: str) -> Record | None:
    """A record, or None where there is none or it is damaged, which is logged."""
    try:
        value = storage.read_json(model, *parts)
        return None if value is None else record_of(kind, value)
    except DamagedRecordError as error:
        log_damage(str(error))
    except ValueError as error:
        log_damage(f"{storage.path_of(model, *parts)} is not a {kind.__name__} ({error})")
    return None


def all_records(storage: Storage, kind: type[Record], model: str, *folder: str) -> dict[str, Record]:
    """The records of a folder by name, without those that are damaged, which are logged."""
    found, damaged = sorted_out(storage, kind, model, *folder)
    for problem in damaged.values():
        log_damage(problem)
    return found


def sorted_out(
    storage: Storage, kind: type[Record], model: str, *folder: str
) -> tuple[dict[str, Record], dict[str, str]]:
    """The records of a folder by name, and why others are none."""
    found: dict[str, Record] = {}
    damaged = dict(storage.unreadable(model, *folder))
    for name, value in storage.list_json(model, *folder).items():
        try:
            found[name] = record_of(kind, value)
        except ValueError as error:
            damaged[name] = f"{storage.path_of(model, *folder, name)} is not a {kind.__name__} ({error})"
    return found, damaged


def log_damage(problem: str) -> None:
    """Log a damaged record, once for each process: sensors come by every few seconds."""
    if problem not in _LOGGED and len(_LOGGED) < _MOST_LOGGED:
        _LOGGED.add(problem)
        dg.get_dagster_logger("mlops_assets").warning(f"a record is skipped: {problem}")


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
