"""Look at a source and read from it: results are checked, and whatever a user's source raises is one of our errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mlops_assets.disk_frame import LargeFrame
from mlops_assets.errors import MlopsAssetsError, SourceUnavailableError
from mlops_assets.lazy import pd
from mlops_assets.sources import Look, Source, Waiting
from mlops_assets.sources.built_in import BuiltIn
from mlops_assets.sources.keys import SAFE, is_safe
from mlops_assets.sources.raised import named, what_raised
from mlops_assets.sources.rows import checked, require_safe
from mlops_assets.text import shown


def look(source: Source, seen: Mapping[str, str]) -> Look:
    """Return what a source has; a batch with an unsafe key waits. `MlopsAssetsError` where the source cannot tell."""
    if isinstance(source, BuiltIn):
        return source.look(seen)
    result: Look = _called(source, "look", seen)
    _expect(source, "look", isinstance(result, Look), f"expected a Look, got a {type(result).__name__}")
    for name, value in (("ready", result.ready), ("seen", result.seen)):
        texts = isinstance(value, Mapping) and all(isinstance(text, str) for pair in value.items() for text in pair)
        _expect(source, "look", texts, f"expected {name} to map texts to texts, got {shown(value)}")
    waits = isinstance(result.waiting, tuple) and all(isinstance(entry, Waiting) for entry in result.waiting)
    _expect(source, "look", waits, f"expected waiting to be a tuple of Waiting, got {shown(result.waiting)}")
    unsafe = f"its key is unsafe; expected {SAFE}. Return another key"
    waiting = (*result.waiting, *(Waiting(key, unsafe) for key in result.ready if not is_safe(key)))
    return replace(result, ready={key: mark for key, mark in result.ready.items() if is_safe(key)}, waiting=waiting)


def read(source: Source, key: str) -> pd.DataFrame:
    """Return all rows of a batch; what it raises is as `Source.read` says."""
    if isinstance(source, BuiltIn):
        return source.read(key)
    frame = _called(source, "read", key)
    _expect(source, "read", isinstance(frame, pd.DataFrame), f"expected a DataFrame, got a {type(frame).__name__}")
    with named(f"{source.title}: batch {key!r:.120}"):
        require_safe(key)
        return checked(source, frame)


def read_rows(source: Source, key: str) -> pd.DataFrame | LargeFrame:
    """Return all rows of a batch; those beyond `limits.memory_mb` are read a column at a time."""
    return source.read_rows(key) if isinstance(source, BuiltIn) else read(source, key)


def _called(source: Source, method: str, argument: Any) -> Any:
    try:
        return getattr(source, method)(argument)
    except MlopsAssetsError:
        raise
    except Exception as problem:  # a source is the user's code: it may raise anything
        # A chained traceback would show what was taken out of the text.
        raise SourceUnavailableError(f"{_name(source, method)} {what_raised(problem)}.") from None


def _expect(source: Source, method: str, right: bool, problem: str) -> None:
    if not right:
        raise SourceUnavailableError(f"{_name(source, method)}: {problem}. Mend it; nothing was read.")


def _name(source: Source, method: str) -> str:
    return f"{source.title}: {type(source).__module__}.{type(source).__qualname__}.{method}"
