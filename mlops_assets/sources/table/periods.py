"""The periods of a `Table` that have rows, found without asking for each period between the first and the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import pairwise

from mlops_assets.errors import SourceUnavailableError
from mlops_assets.lazy import pd
from mlops_assets.sources import Period, Table, Waiting
from mlops_assets.sources.periods import period_key, period_span, ready_periods
from mlops_assets.sources.table.axis import END, FIRST, Axis
from mlops_assets.sources.table.keys import Value
from mlops_assets.sources.table.marks import NEWEST, marks

_LAST = datetime(2199, 12, 31)
_PARTS = 100
_Moments = tuple[datetime, datetime]


def look_at_periods(
    table: Table, axis: Axis, values: tuple[Value, Value], seen: Mapping[str, str], now: pd.Timestamp
) -> tuple[dict[str, str], Iterable[Waiting]]:
    """Return all periods that are over, each with its mark, and those that wait; `values`: the least and greatest."""
    period = table.period
    assert period is not None  # else a batch is what is above a watermark
    low, high = values
    if not isinstance(low, datetime) or not isinstance(high, datetime):
        raise SourceUnavailableError(
            f"column {axis.column!r:.80} holds numbers; expected times, to divide the rows by period. Declare another "
            "column, or a query that makes times of it"
        )
    first, last = max(low, FIRST), min(high, _LAST)
    recorded = {key: span for key, mark in seen.items() if mark and (span := moments_of(key, period)) is not None}
    ordered = sorted(recorded, key=lambda key: recorded[key])
    marked = {key: seen[key] for key in ordered[:-NEWEST]}
    spans = [recorded[key] for key in ordered[-NEWEST:]]
    if first <= last:
        spans += _between(sorted(recorded.values()), first, last, period)
    while spans:
        parts: list[_Moments] = []
        mark_of = marks(axis, spans, table.high_watermark)
        for span in (span for span in spans if span in mark_of):
            key = period_key(pd.Timestamp(span[0]), period)
            if moments_of(key, period) == span:
                marked[key] = mark_of[span]
            else:
                parts += _parts(span, period)
        spans = parts
    return ready_periods(marked, period, now)


def moments_of(key: str, period: Period) -> _Moments | None:
    """Return the times of a period; None unless the batch key is that of a period of this kind, as we write it."""
    try:
        start, end = period_span(key, period)
        if start < END and end > FIRST and period_key(start, period) == key:
            return start.to_pydatetime(), end.to_pydatetime()
    except (ValueError, OverflowError, TypeError):  # the last: pandas reads some texts as times with a zone
        pass
    return None


def _between(spans: Iterable[_Moments], first: datetime, last: datetime, period: Period) -> Iterator[_Moments]:
    """Yield the times of whole periods between the first and the last row that none of the spans has."""
    (start, _), (_, end) = (_around(pd.Timestamp(moment), period) for moment in (first, last))
    for low, high in [*spans, (end, end)]:
        if start < min(low, end):
            yield start, min(low, end)
        start = max(start, high)


def _parts(span: _Moments, period: Period) -> list[_Moments]:
    """Return a span in up to 100 parts of whole periods."""
    low, high = pd.Timestamp(span[0]), pd.Timestamp(span[1])
    moments = [low + (high - low) * step / _PARTS for step in range(_PARTS)]
    cuts = {_around(moment, period)[0] for moment in moments}
    return list(pairwise(sorted(cuts | {span[1]})))


def _around(moment: pd.Timestamp, period: Period) -> _Moments:
    start, end = period_span(period_key(moment, period), period)
    return start.to_pydatetime(), end.to_pydatetime()
