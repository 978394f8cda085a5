"""Suites of Great Expectations as plain values, from a file or from GX objects; nothing in them is executed.

Great Expectations itself is not imported here: a code location reads its suites whenever it loads.
"""

import datetime
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal

from mlops_assets.errors import ExpectationsError
from mlops_assets.text import did_you_mean, shown
from mlops_assets.validation.contract import CONTRACT
from mlops_assets.validation.documents import read_document
from mlops_assets.validation.inference import infer, write_suite

__all__ = ["Expectation", "from_objects", "infer", "load_suite", "suite_in", "write_suite"]

Severity = Literal["error", "warn"]

_SUITE_KEYS = {"name", "expectations", "meta", "notes", "id", "suite_parameters", "data_context_id"}
_EXPECTATION_KEYS = {"type", "kwargs", "meta", "severity", "notes", "description", "id", "rendered_content"}
_SEVERITIES: dict[str, Severity] = {
    **dict.fromkeys(("error", "critical"), "error"),
    **dict.fromkeys(("warn", "warning", "info"), "warn"),
}
# The resource decides how a result is reported, and the caller which data is judged.
_DROPPED_KWARGS = {"result_format", "catch_exceptions", "batch_id", "condition_parser"}
_LONGEST_NAME = 100
_RESERVED = ("readable", "known_at", "expectations", "suite_in_force")
"""Checks of the dataset beside those of the contract."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One expectation of a suite, in plain JSON values.

    type: the name in Great Expectations >= 1.0, such as "expect_column_values_to_be_between".
    check_name: [a-z0-9_]+, unique within its suite.
    severity: "error", or "warn" for what is only reported.
    blocking: whether a failure of severity "error" rejects the batch.
    """

    type: str
    kwargs: dict[str, Any]
    check_name: str
    meta: dict[str, Any] = field(default_factory=dict)
    severity: Severity = "error"
    blocking: bool = True


def load_suite(path: Path) -> tuple[Expectation, ...]:
    """Return the suite in a file, GX's JSON or YAML: `{"name", "expectations": [{"type", "kwargs", "meta"}]}`.

    Raises ExpectationsError, with the file and the number of the expectation. Errors are malformed content, names of GX
    < 1.0, SQL, and a `row_condition` that GX would execute. Only a run shows whether GX knows a type.
    """
    return suite_in(read_document(path), str(path))


def suite_in(document: Any, where: str) -> tuple[Expectation, ...]:
    """Return the suite in a document of the form of a suite file; raise `ExpectationsError` as `load_suite` does."""
    if not isinstance(document, Mapping) or "expectations" not in document:
        raise ExpectationsError(
            f'{where}: expected a suite {{"name", "expectations": [...]}}, got {shown(document)}. '
            "Expectations belong in a list under the key 'expectations'."
        )
    if "expectation_suite_name" in document:
        raise ExpectationsError(
            f"{where}: 'expectation_suite_name' is of Great Expectations < 1.0; write 'name', and in each expectation "
            "'type' for 'expectation_type'."
        )
    _refuse_unknown(document, _SUITE_KEYS, where)
    return _suite(document["expectations"], where)


def from_objects(objects: Any) -> tuple[Expectation, ...]:
    """Return the suite that Great Expectations' objects form: an ExpectationSuite, or a list of expectations.

    Dictionaries as in a suite file are accepted as well. Raises ExpectationsError as `load_suite` does.
    """
    if hasattr(objects, "expectations"):
        objects = objects.expectations
    if isinstance(objects, Mapping):
        objects = objects.get("expectations", objects)
    if isinstance(objects, str | Mapping) or not isinstance(objects, Iterable):
        raise ExpectationsError(
            f"expectations: expected an ExpectationSuite or a list of expectations, got {type(objects).__name__} "
            f"{shown(objects)}."
        )
    return _suite([_as_mapping(item) for item in objects], "expectations")


def _as_mapping(item: Any) -> Any:
    configuration = getattr(item, "configuration", item)
    return configuration.to_json_dict() if hasattr(configuration, "to_json_dict") else item


def _suite(items: Any, where: str) -> tuple[Expectation, ...]:
    if not isinstance(items, list):
        raise ExpectationsError(f"{where}: 'expectations' must be a list, got {shown(items)}.")
    used = {*CONTRACT, *_RESERVED}  # names of checks; each expectation adds its own
    return tuple(_expectation(item, f"{where}: expectation {number}", used) for number, item in enumerate(items, 1))


def _expectation(item: Any, where: str, used: set[str]) -> Expectation:
    if not isinstance(item, Mapping):
        raise ExpectationsError(f'{where}: expected {{"type", "kwargs", "meta"}}, got {shown(item)}.')
    if "expectation_type" in item:
        raise ExpectationsError(f"{where}: 'expectation_type' is of Great Expectations < 1.0; write 'type'.")
    _refuse_unknown(item, _EXPECTATION_KEYS, where)
    kind = _checked_type(item.get("type"), where)
    where = f"{where} ({kind})"
    kwargs, meta, of_gx = item.get("kwargs") or {}, item.get("meta") or {}, item.get("severity")
    for name, value in (("kwargs", kwargs), ("meta", meta)):
        if not isinstance(value, Mapping):
            raise ExpectationsError(f"{where}: '{name}' must be a mapping, got {shown(value)}.")
    kwargs = {name: _plain(value, where) for name, value in kwargs.items() if name not in _DROPPED_KWARGS}
    _refuse_unsafe(kwargs, where)
    meta = {str(name): _plain(value, where) for name, value in meta.items()}
    if item.get("notes"):
        meta.setdefault("notes", _plain(item["notes"], where))
    severity = _severity(meta.get("severity", "error" if of_gx is None else of_gx), where)
    blocking = meta.get("blocking", severity == "error")
    if not isinstance(blocking, bool):
        raise ExpectationsError(f"{where}: meta.blocking must be true or false, got {shown(blocking)}.")
    name = _check_name(kind, kwargs, used)
    return Expectation(type=kind, kwargs=kwargs, check_name=name, meta=meta, severity=severity, blocking=blocking)


def _refuse_unknown(mapping: Mapping[Any, Any], known: set[str], where: str) -> None:
    for name in mapping:
        if name not in known:
            raise ExpectationsError(f"{where}: unknown key {shown(name)}. {did_you_mean(str(name), known)}")


def _checked_type(kind: Any, where: str) -> str:
    if not isinstance(kind, str) or not re.fullmatch(r"[a-z0-9_]{1,200}", kind):
        raise ExpectationsError(
            f"{where}: 'type' must be a name such as 'expect_column_values_to_be_between', got {shown(kind)}."
        )
    if kind.startswith("unexpected_rows") or "query" in kind or "sql" in kind:
        raise ExpectationsError(f"{where}: {kind} runs SQL of its own; batches are DataFrames, so it is refused.")
    if not kind.startswith("expect_"):
        raise ExpectationsError(f"{where}: the type {shown(kind)} does not start with 'expect_'.")
    return kind


def _severity(declared: Any, where: str) -> Severity:
    name = getattr(declared, "value", declared)  # GX's own severities are members of an enum of strings
    if not isinstance(name, str) or name not in _SEVERITIES:
        raise ExpectationsError(f"{where}: severity must be 'error' or 'warn', got {shown(name)}.")
    return _SEVERITIES[name]


def _plain(value: Any, where: str) -> Any:
    """Return `value` in JSON's types; dates as ISO 8601 text, which becomes a date again for a column of times."""
    value = getattr(value, "value", value) if type(value).__module__.startswith("great_expectations") else value
    if isinstance(value, Mapping):
        return {str(name): _plain(part, where) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, where) for part in value]
    if isinstance(value, set | frozenset):
        return sorted((_plain(part, where) for part in value), key=repr)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise ExpectationsError(f"{where}: {value} is not a limit; leave the limit out.")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ExpectationsError(f"{where}: expected plain values, got {type(value).__name__} {shown(value)}.")


def _refuse_unsafe(kwargs: Mapping[str, Any], where: str) -> None:
    for name, value in kwargs.items():
        if "query" in name or "sql" in name:
            raise ExpectationsError(f"{where}: {shown(name)} holds SQL, which is never run on a batch.")
        if name == "row_condition" and value is not None:
            _refuse_unsafe_condition(value, where)
        _refuse_references(value, where)


def _refuse_unsafe_condition(condition: Any, where: str) -> None:
    """Accept only what GX >= 1.9 writes for `Column` conditions; it runs any other text through `DataFrame.query`."""
    kind = condition.get("type") if isinstance(condition, Mapping) else None
    if kind in ("and", "or") and isinstance(condition.get("conditions"), list):
        for part in condition["conditions"]:
            _refuse_unsafe_condition(part, where)
        return
    column = condition.get("column") if kind in ("comparison", "nullity") else None
    parts = [column.get("name") if isinstance(column, Mapping) else None]
    if kind == "comparison":
        parameter = condition.get("parameter")
        parts += parameter if isinstance(parameter, list) else [parameter]
    if column is None or not isinstance(parts[0], str) or not all(isinstance(p, str | int | float) for p in parts):
        raise ExpectationsError(
            f"{where}: row_condition {shown(condition)} is refused, since text in it would be executed. Expected "
            "{type: comparison, column: {name: ...}, operator: '==', parameter: ...}, or of type nullity, and, or."
        )
    # pandas reads a backtick as the end of a column's name, even within quotes.
    if any(isinstance(part, str) and re.search(r"[`\n\r\\]", part) for part in parts):
        raise ExpectationsError(f"{where}: row_condition with a backtick, backslash or line break is refused.")


def _refuse_references(value: Any, where: str) -> None:
    """Refuse parameters, which nobody would fill, and references in a JSON schema, which would be fetched."""
    parts = value if isinstance(value, list) else []
    if isinstance(value, Mapping):
        parts = list(value.values())
        if "$PARAMETER" in value:
            raise ExpectationsError(f"{where}: $PARAMETER is not supported; write the value.")
        for name in ("$ref", "$dynamicRef", "$recursiveRef"):
            if name in value and not str(value[name]).startswith("#"):
                raise ExpectationsError(f"{where}: {name} {shown(value[name])} points out of the schema; refused.")
    for part in parts:
        _refuse_references(part, where)


def _check_name(kind: str, kwargs: Mapping[str, Any], used: set[str]) -> str:
    """Return a name such as "co2_values_to_be_between", with "_2" if it is used already."""
    columns = [kwargs[name] for name in ("column", "column_A", "column_B") if isinstance(kwargs.get(name), str)]
    columns += map(str, several) if isinstance(several := kwargs.get("column_list"), list) else []
    rule = kind.removeprefix("expect_").removeprefix("column_" if columns else "")
    subject = re.sub(r"[^a-z0-9]+", "_", "_".join(columns).lower()).strip("_") or ("column" if columns else "")
    base = f"{subject[: _LONGEST_NAME - 40]}_{rule}".strip("_")[:_LONGEST_NAME]
    numbered = (f"{base}_{number}" for number in count(2))
    name = next(name for name in chain([base], numbered) if name not in used)
    used.add(name)
    return name
