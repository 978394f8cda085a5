"""The batches of a `Frame`: its callable called, what it returned divided and checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_assets.dotted import called
from mlops_assets.errors import DeclarationError, SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources.frame.source import Frame
from mlops_assets.sources.keys import safe_key
from mlops_assets.sources.raised import named, what_raised
from mlops_assets.sources.rows import checked, divided, require_safe


def batches_of(source: Frame, only: str | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each batch with its safe key; a batch that must not be used raises once it is the one asked for."""
    with named("load"):
        load = called(source.load, "frame") if isinstance(source.load, str) else source.load
    try:
        result = load()
        if source.period is not None:
            yield from divided(source, result, source.period)
        elif isinstance(result, pd.DataFrame) or not hasattr(result, "__iter__"):
            raise SourceError(
                f"returned a {type(result).__name__}; expected pairs (key, DataFrame), or declare period= to have one "
                "DataFrame divided"
            )
        else:
            for name, batch in map(_pair, result):
                key = safe_key(name)
                if only == key:
                    require_safe(name)
                    batch = checked(source, batch)
                yield key, batch
    except (SourceError, DeclarationError):
        raise
    except Exception as problem:  # the callable is the user's
        # A chained traceback would show what was taken out of the text.
        raise SourceError(f"the callable {what_raised(problem)}") from None


def _pair(pair: Any) -> tuple[str, pd.DataFrame]:
    if isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], pd.DataFrame):
        return pair
    raise SourceError(f"yielded {type(pair).__name__}; expected pairs (key as text, DataFrame)")
