"""Shows values that come from data in messages: quoted, on one line and shortened."""

from collections.abc import Iterable
from typing import Any


def shown(value: Any, limit: int = 80) -> str:
    """`value` as text of at most `limit` characters; strings are quoted, so that no control character gets through."""
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()
    if hasattr(value, "isoformat"):
        text = str(value.isoformat())
    elif isinstance(value, tuple | list):
        # Bounded before it is joined: a cell may hold a very long list.
        inside = ", ".join(shown(part, limit) for part in value[:20])
        text = f"[{inside}]" if isinstance(value, list) else f"({inside})"
    else:
        text = repr(value[: 2 * limit] if isinstance(value, str) else value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def listed(values: Iterable[Any], most: int = 5) -> str:
    """The first `most` values, comma separated, and how many more there are."""
    everything = list(values)
    text = ", ".join(shown(value) for value in everything[:most])
    more = len(everything) - most
    return f"{text} and {more} more" if more > 0 else text
