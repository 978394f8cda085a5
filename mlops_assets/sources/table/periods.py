"""The periods of a `Table` that have rows, found without asking for each period between the first and the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import pairwise

from mlops_assets.errors import SourceUnavailableError
from mlops_assets.lazy import pd
from mlops_assets.sources.look import Period, Waiting
from mlops_assets.sources.periods import period_end, period_key, period_start, ready_periods
from mlops_assets.sources.table.axis import END, FIRST, Axis
from mlops_assets.sources.table.keys import Value
from mlops_assets.sources.table.marks import NEWEST, marks
from mlops_assets.sources.table.source import Table

_LAST = datetime(2199, 12, 31)
_PARTS = 100
_Moments = tuple[datetime, datetime]


def look_at_periods(
    table: Table, by: Axis, values: tuple[Value, Value], seen: Mapping[str, str], now: pd.Timestamp
) -> tuple[dict[str, str], Iterable[Waiting]]:
    """Return all periods that are over, each with its mark, and those that wait; `values`: the least and greatest."""
    period = table.period
    assert period is not None  # else a batch is what is above a watermark
    low, high = values
    if not isinstance(low, datetime) or not isinstance(high, datetime):
        raise SourceUnavailableError(
            f"column {by.column!r:.80} holds numbers; expected times, to divide the rows by period. Declare another "
            "column, or a query that makes times of it"
        )
    first, last = max(low, FIRST), min(high, _LAST)
    known = {key: span for key, mark in seen.items() if mark and (span := period_span(key, period)) is not None}
    ordered = sorted(known, key=lambda key: known[key])
    marked = {key: seen[key] for key in ordered[:-NEWEST]}
    spans = [known[key] for key in ordered[-NEWEST:]]
    if first <= last:
        spans += _between(sorted(known.values()), first, last, period)
    while spans:
        parts: list[_Moments] = []
        mark_of = marks(by, spans, table.high_watermark)
        for span in (span for span in spans if span in mark_of):
            key = period_key(pd.Timestamp(span[0]), period)
            if period_span(key, period) == span:
                marked[key] = mark_of[span]
            else:
                parts += _parts(span, period)
        spans = parts
    return ready_periods(marked, period, now)


def period_span(key: str, period: Period) -> _Moments | None:
    """Return the times of a period; None unless the batch key is that of a period of this kind, as we write it."""
    try:
        start, end = period_start(key, period), period_end(key, period)
        if start < END and end > FIRST and period_key(start, period) == key:
            return start.to_pydatetime(), end.to_pydatetime()
    except (ValueError, OverflowError, AttributeError):  # the last: pandas reads some texts as no time
        pass
    return None


def _between(known: Iterable[_Moments], first: datetime, last: datetime, period: Period) -> Iterator[_Moments]:
    """Yield the times of whole periods between the first and the last row that no known period has."""
    start = period_start(period_key(pd.Timestamp(first), period), period).to_pydatetime()
    end = period_end(pd.Timestamp(last), period).to_pydatetime()
    for low, high in [*known, (end, end)]:
        if start < min(low, end):
            yield start, min(low, end)
        start = max(start, high)


def _parts(span: _Moments, period: Period) -> list[_Moments]:
    """Return a span in up to 100 parts of whole periods."""
    low, high = pd.Timestamp(span[0]), pd.Timestamp(span[1])
    moments = [low + (high - low) * step / _PARTS for step in range(_PARTS)]
    cuts = sorted({period_start(period_key(moment, period), period) for moment in moments} | {high})
    return list(pairwise(cut.to_pydatetime() for cut in cuts))
