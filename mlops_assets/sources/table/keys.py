"""Batch keys of a high watermark: `<from>--<to>`, which say by themselves which rows a batch has."""

from datetime import datetime

Value = int | datetime
Span = tuple[Value | None, Value]
"""Rows above the first value, up to and with the second; None: from the beginning."""

_START = "0-start"  # one digit comes before all others, in natural order as in that of text


def span_key(span: Span) -> str:
    """Return the key of a batch, safe as a path; in natural order keys are in the order of their rows."""
    low, high = span
    return f"{_START if low is None else _text(low)}--{_text(high)}"


def key_span(key: str) -> Span | None:
    """Return the rows of a batch; None where the key is not one that `span_key` returns."""
    low, _, high = key.partition("--")
    try:
        span = (None if low == _START else _value(low), _value(high))
    except ValueError:
        return None
    lower, upper = span
    grows = lower is None or (type(lower) is type(upper) and lower < upper)  # type: ignore[operator]
    return span if grows and span_key(span) == key else None


def _text(value: Value) -> str:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("-", "").replace(":", "")
    return f"{value:06d}"


def _value(text: str) -> Value:
    if "T" in text:
        return datetime.strptime(text, "%Y%m%dT%H%M%S.%f")
    if 0 <= int(text) < 2**63:
        return int(text)
    raise ValueError(text)
