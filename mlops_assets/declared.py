"""The base of everything an engineer declares: frozen, strict, and clear about what is wrong."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from mlops_assets.errors import DeclarationError


class Declared(BaseModel):
    """A part of a declaration. An unknown, missing or wrong field raises `DeclarationError` naming it."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise DeclarationError(_explain(type(self), values, error)) from None


def _explain(declared: type[BaseModel], values: Mapping[str, Any], error: ValidationError) -> str:
    name = values.get("name")
    title = declared.__name__ + (f" {name!r}" if isinstance(name, str) else "")
    fields = list(declared.model_fields)
    return "; ".join(dict.fromkeys(f"{title}: {_sentence(problem, fields)}" for problem in error.errors()))


def _sentence(problem: Mapping[str, Any], fields: list[str]) -> str:
    where = str(problem["loc"][0]) if problem["loc"] else ""
    if problem["type"] == "extra_forbidden":
        close = difflib.get_close_matches(where, fields, n=1)
        meant = f"; did you mean {close[0]!r}?" if close else ""
        return f"has no field {where!r}{meant} (fields: {', '.join(fields)})"
    if problem["type"] == "missing":
        return f"field {where!r} is required"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{where}: {message} (got {str(problem['input'])[:80]!r})" if where else message
