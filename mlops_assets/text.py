"""Texts for messages: values from data (quoted, on one line, shortened), numbers, suggested names."""

import difflib
import math
import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_BREAK = "\u200b"
_MARKUP = re.compile(rf"(@(?=[^\s{_BREAK}])|<(?=[^\s{_BREAK}])|\](?=[(\[:])|:(?=//)|\bwww(?=\.))", re.IGNORECASE)


def shown(value: Any, limit: int = 80) -> str:
    """Return `value` as text of at most `limit` characters; strings are quoted, which escapes control characters."""
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
    """Return the first `most` values, comma separated, and how many more there are."""
    everything = list(values)
    text = ", ".join(shown(value) for value in everything[:most])
    more = len(everything) - most
    return f"{text} and {more} more" if more > 0 else text


def cell_text(value: Any) -> str:
    """Return a cell of a frame as text; equal cells have equal text, of any length."""
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, set | frozenset):
        value = sorted(map(str, value))
    if isinstance(value, str | bytes | list | tuple | dict | int | float | complex | date | Decimal):
        return _ADDRESS.sub("", repr(value))
    return type(value).__name__  # the repr of an object may hold its address


def inert(text: str) -> str:
    """Return foreign text so that no renderer makes a link, an image, HTML or a mention of it; it looks unchanged.

    A zero-width space follows each sign that begins one: `[a](b)`, `[a]: b`, `<b>`, `http://b`, `www.b`, `@all`.
    """
    return _MARKUP.sub(rf"\1{_BREAK}", text)


def counted(count: int, one: str, many: str) -> str:
    """Return a count with its noun: "1 batch", "2,400 batches"."""
    return f"{count:,} {one if count == 1 else many}"


def number(value: float, digits: int = 4) -> str:
    """Return a number for people: thousands in full with commas, else `digits` significant digits; never "-0"."""
    if not math.isfinite(value):
        return str(value)
    if isinstance(value, int) or abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    text = f"{value:.{digits}g}"
    return "0" if float(text) == 0 else text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the nearest known name, or with the known names if none is near."""
    names = sorted(set(known))
    if near := difflib.get_close_matches(name, names, n=1):
        return f"Did you mean {near[0]!r}?"
    return f"Known: {', '.join([*names[:20], *(['...'] if len(names) > 20 else [])]) or 'none'}."


def reason(error: BaseException) -> str:
    """Return the type and text of an exception on one line, at most 300 characters."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Return the sort key under which "batch-2" comes before "batch-10"."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), part) if part.isascii() and part.isdigit() else (1, 0, part) for part in parts if part]
