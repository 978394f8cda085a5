"""The base class of all declarations: frozen, strict, and clear about what is wrong."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from mlops_assets.errors import DeclarationError
from mlops_assets.text import shown

_EXPECTED = "Input should be "


FieldPath = tuple[str | int, ...]
"""Names of fields and positions in lists that lead to a value of a declaration."""


class Problem(NamedTuple):
    """One thing that is wrong: the path of fields that leads to it, and what is wrong with it."""

    path: FieldPath
    text: str


class DeclaredWrongly(DeclarationError, ValueError):
    """All that is wrong with a part of a declaration. It is a ValueError too, so that the enclosing part reports it."""

    def __init__(self, title: str, problems: Sequence[Problem]) -> None:
        self.title, self.problems = title, tuple(problems)
        super().__init__("; ".join(f"{title}: {problem.text}" for problem in self.problems))


class WrongField(ValueError):
    """An error of a validator of several fields, with the field that a person would change first."""

    def __init__(self, field: str, text: str) -> None:
        self.field = field
        super().__init__(text)


class Declared(BaseModel):
    """A part of a declaration. An unknown, missing or wrong field raises a `DeclarationError` that names it."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise DeclaredWrongly(self._title(type(self).__name__, values), self._problems(error)) from None

    @field_validator("*", mode="before")
    @classmethod
    def _names_are_texts(cls, value: Any, info: ValidationInfo) -> Any:
        """Raise `WrongField` if a key of a mapping is not a string: fields are passed by name."""
        for name in value if isinstance(value, Mapping) else ():
            if not isinstance(name, str):
                raise WrongField(str(info.field_name), f"{info.field_name}: the name {shown(name)} is not text")
        return value

    @classmethod
    def _title(cls, kind: str, values: Mapping[str, Any]) -> str:
        return title(kind, values)

    @classmethod
    def _problems(cls, error: ValidationError) -> list[Problem]:
        fields, errors = list(cls.model_fields), error.errors()
        unknown = [str(fault["loc"][0]) for fault in errors if fault["type"] == "extra_forbidden"]
        by_field: dict[Any, list[Problem]] = {}
        for fault in errors:
            if fault["type"] == "missing" and difflib.get_close_matches(str(fault["loc"][0]), unknown, n=1):
                continue  # the field is misspelt, which is reported already
            # pydantic reports an error for each kind that a field may have; they become one.
            by_field.setdefault(fault["loc"][:1] or len(by_field), []).extend(_problems(fault, fields))
        return [problem for problems in by_field.values() for problem in _as_one(problems)]


def without_address(text: str) -> str:
    """Return a text without what follows "://": a URL of a database may hold its password."""
    return re.sub(r"://\S*", "://***", text)


def title(kind: str, values: Mapping[str, Any]) -> str:
    """Return how messages name a part of a declaration: its class and, where it has one, its name."""
    name = values.get("name")
    return kind + (f" {shown(name)}" if isinstance(name, str) else "")


def _problems(fault: Mapping[str, Any], fields: Sequence[str]) -> list[Problem]:
    """Return pydantic's error as problems: several where the error of an enclosed part has several."""
    raised = fault.get("ctx", {}).get("error")
    loc = fault["loc"]  # after a field comes an index of its list, or else a kind that it may have
    path = tuple(loc[:2] if len(loc) > 1 and isinstance(loc[1], int) else loc[:1])
    where = str(path[0]) if path else ""
    if fault["type"] == "extra_forbidden":
        close = difflib.get_close_matches(where, fields, n=1)
        advice = f"; did you mean {close[0]!r}?" if close else f" (fields: {', '.join(fields)})"
        return [Problem(path, f"has no field {shown(where)}{advice}")]
    if fault["type"] == "missing":
        return [Problem(path, f"field {where!r} is required")]
    if isinstance(raised, DeclaredWrongly):
        return [Problem((*path, *inner.path), f"{where}: {inner.text}") for inner in raised.problems]
    if isinstance(raised, WrongField):
        return [Problem((raised.field,), str(raised))]
    if isinstance(raised, DeclarationError):
        return [Problem(path, f"{where}: {raised}")]
    message, value = str(fault["msg"]).removeprefix("Value error, "), fault["input"]
    got = f"a {type(value).__name__}" if isinstance(value, Mapping) else without_address(shown(value))
    return [Problem(path, f"{where}: {message} (got {got})" if where else message)]


def _as_one(problems: Sequence[Problem]) -> Iterable[Problem]:
    """Return the problems of one field; one sentence names all kinds where the value has none of them."""
    head = f"{problems[0].path[0]}: {_EXPECTED}" if problems[0].path else ""
    if len(problems) == 1 or not head or not all(problem.text.startswith(head) for problem in problems):
        return dict.fromkeys(problems)
    kinds = dict.fromkeys(problem.text.removeprefix(head).rpartition(" (got ")[0] for problem in problems)
    got = problems[0].text.rpartition(" (got ")[2]
    return [Problem(problems[0].path, f"{head}{' or '.join(kinds)} (got {got}")]
