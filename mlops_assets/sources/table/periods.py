"""The periods of a `Table` that have rows, found without asking for each period between the first and the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import pairwise

from mlops_assets.errors import SourceUnavailableError
from mlops_assets.lazy import pd, sa
from mlops_assets.sources.look import Look, Period
from mlops_assets.sources.periods import period_end, period_key, period_start, ready_periods
from mlops_assets.sources.table.marks import END, FIRST, NEWEST, extremes, marks, outside, without
from mlops_assets.sources.table.source import Table
from mlops_assets.sources.table.sql import Relation

_LAST = datetime(2199, 12, 31)
_PARTS = 100
_Moments = tuple[datetime, datetime]


def look_at_periods(
    table: Table, connection: sa.Connection, rows: Relation, seen: Mapping[str, str], now: pd.Timestamp
) -> Look:
    """Return all periods that are over, each with its mark; those that wait, and rows without a time that can be."""
    name, period = str(table.time), table.period
    assert period is not None  # else a batch is what is above a watermark
    by, low, high = extremes(connection, rows, name)
    waiting = without(connection, rows, by)
    if low is None or high is None:
        return Look({}, tuple(waiting))
    if not isinstance(low, datetime) or not isinstance(high, datetime):
        raise SourceUnavailableError(
            f"column {name!r:.80} holds numbers; expected times, to divide the rows by period. Declare "
            "another column, or a query that makes times of it."
        )
    if by.beyond or low < FIRST or high >= END:
        waiting.append(outside(connection, rows, by))
    first, end = max(low, FIRST), min(high, _LAST)
    known = {key: mark for key, mark in seen.items() if mark and is_period(key, period)}
    ordered = sorted(known, key=lambda key: period_start(key, period))
    asked, kept = ordered[-NEWEST:], ordered[:-NEWEST]
    todo = [_span(key, period) for key in asked] + list(_between(ordered, first, end, period) if first <= end else ())
    there = {key: known[key] for key in kept}
    while todo:
        spans, todo = todo, []
        found = marks(connection, rows, by, spans, table.high_watermark, period=True)
        for span in (span for span in spans if span in found):
            key = _key(span, period)
            if _span(key, period) == span:
                there[key] = found[span]
            else:
                todo += _parts(span, period)
    ready, running = ready_periods(there, period, now)
    return Look(ready, (*waiting, *running))


def is_period(key: str, period: Period) -> bool:
    """Return whether a batch key is that of a period of this kind, written as we write it."""
    try:
        return FIRST <= period_start(key, period) < END and _key(_span(key, period), period) == key
    except (ValueError, OverflowError, AttributeError):  # the last: pandas reads some texts as no time
        return False


def _span(key: str, period: Period) -> _Moments:
    return period_start(key, period).to_pydatetime(), period_end(key, period).to_pydatetime()


def _key(span: _Moments, period: Period) -> str:
    return period_key(pd.Timestamp(span[0]), period)


def _between(known: Iterable[str], first: datetime, last: datetime, period: Period) -> Iterator[_Moments]:
    """Yield the times of whole periods between the first and the last row that no known period has."""
    start, _ = _span(period_key(pd.Timestamp(first), period), period)
    _, end = _span(period_key(pd.Timestamp(last), period), period)
    for low, high in [*(_span(key, period) for key in known), (end, end)]:
        if start < min(low, end):
            yield start, min(low, end)
        start = max(start, high)


def _parts(span: _Moments, period: Period) -> list[_Moments]:
    """Return a span in up to 100 parts of whole periods."""
    low, high = pd.Timestamp(span[0]), pd.Timestamp(span[1])
    moments = [low + (high - low) * step / _PARTS for step in range(_PARTS)]
    cuts = sorted({period_start(period_key(moment, period), period) for moment in moments} | {high})
    return [(one.to_pydatetime(), next_.to_pydatetime()) for one, next_ in pairwise(cuts)]
