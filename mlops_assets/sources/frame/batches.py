"""The batches of a `Frame`: its callable called, what it returned divided and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from mlops_assets.callables import refuse_foreign
from mlops_assets.errors import DeclarationError, SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources.frame.source import Frame
from mlops_assets.sources.keys import safe_key
from mlops_assets.sources.raised import what_raised
from mlops_assets.sources.rows import divided, refuse, timed


def batches_of(source: Frame, only: str | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each batch with its safe key; a batch that must not be used raises once it is the one asked for."""
    try:
        result = _callable(source)()
        if source.period is not None:
            yield from divided(source, result, source.period)
        elif isinstance(result, pd.DataFrame) or not hasattr(result, "__iter__"):
            raise SourceError(
                f"{source.title}: returned a {type(result).__name__}; expected pairs (key, DataFrame), or "
                "declare period= to have one DataFrame divided."
            )
        else:
            for pair in result:
                name, batch = _pair(source, pair)
                if only == safe_key(name):
                    refuse(source, name, batch)
                    batch = timed(source, name, batch)
                yield safe_key(name), batch
    except (SourceError, DeclarationError):
        raise
    except Exception as problem:  # the callable is the user's
        # A chained traceback would show what was taken out of the text.
        raise SourceError(f"{source.title}: the callable {what_raised(problem)}") from None


def _callable(source: Frame) -> Callable[[], Any]:
    if not isinstance(source.load, str):
        return source.load
    module, _, attribute = source.load.replace(":", ".").rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as problem:
        raise DeclarationError(
            f"Frame: {source.load!r:.80} cannot be imported ({problem}); expected 'package.module:function'."
        ) from None
    if not callable(found):
        raise DeclarationError(f"Frame: {source.load!r:.80} is a {type(found).__name__}; expected a function.")
    try:
        refuse_foreign(found, source.load, "frame")
    except DeclarationError as problem:
        raise DeclarationError(f"Frame: load: {problem}") from None
    return found  # type: ignore[no-any-return]


def _pair(source: Frame, pair: Any) -> tuple[str, pd.DataFrame]:
    if isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], pd.DataFrame):
        return pair
    raise SourceError(f"{source.title}: yielded {type(pair).__name__}; expected pairs (key as text, DataFrame).")
