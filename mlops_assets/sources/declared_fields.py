"""Turns what pydantic finds wrong with a declared source into one sentence."""

import re
from typing import Any

from pydantic import ValidationError

from mlops_assets.errors import DeclarationError


class SourceDeclarationError(DeclarationError, ValueError):
    """A source is declared wrongly. A ValueError too, so that pydantic tries the other kind of source in a union."""


def masked(value: Any, limit: int = 80) -> str:
    """A declared value as text without what follows "://": it may be the URL of a database with its password."""
    return re.sub(r"://\S*", "://***", repr(value))[:limit]


def declaration_error(kind: str, of: Any, problem: ValidationError) -> SourceDeclarationError:
    """The first thing that is wrong, with the field, the rule and the value that broke it."""
    first = problem.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    raised = first.get("ctx", {}).get("error")
    if isinstance(raised, DeclarationError):
        return SourceDeclarationError(str(raised))
    subject = kind if of is None else f"{kind} {masked(of)}"
    got = "" if first["type"] == "missing" else f", got {masked(first['input'])}"
    return SourceDeclarationError(f"{subject}: {field}: {first['msg']}{got}. Correct the declaration.")
