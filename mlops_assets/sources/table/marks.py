"""Marks of many batches of a `Table` from few queries: how many rows each has, and the extremes of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from mlops_assets.lazy import sa
from mlops_assets.sources.keys import short_digest
from mlops_assets.sources.look import Waiting
from mlops_assets.sources.table.axis import END, FIRST, Axis
from mlops_assets.sources.table.keys import Span, Value

NEWEST = 500
"""Batches whose rows are counted at each look; older ones keep the mark that they were taken in with."""

_CHUNK = 200


def rows_in_no_batch(axis: Axis, low: Value | None, high: Value | None) -> list[Waiting]:
    """Return how many rows have no value to be divided by, or a time outside of the years that rows are divided by."""
    waiting = []
    if count := axis.rows.count(axis.expression.is_(None)):
        what = "time that can be read" if axis.text else "value"
        reason = f"{count:,} rows have no {what} in column {axis.column!r:.80}; fill it in"
        waiting.append(Waiting(f"rows without {axis.column}", reason))
    # The first batch above a watermark has texts of all years, and later rows wait for their time.
    early = isinstance(low, datetime) and low < FIRST and (axis.by_period or not axis.text)
    late = isinstance(high, datetime) and high >= END and axis.by_period
    if axis.beyond or early or late:
        count = axis.rows.count(sa.not_(axis.in_years()))
        reason = f"{count:,} rows lie outside these years in {axis.column!r:.80}; correct them"
        waiting.append(Waiting(f"rows outside {FIRST.year} to {END.year - 1}", reason))
    return waiting


def marks(axis: Axis, spans: Sequence[Span], sharper: str | None = None) -> Mapping[Span, str]:
    """Return the mark of each span that has rows. `sharper` is another column whose extremes count."""
    columns = [axis.expression, *([sa.column(sharper)] if sharper else [])]
    ordered = sorted(spans, key=lambda span: span[1])
    marked: dict[Span, str] = {}
    for start in range(0, len(ordered), _CHUNK):
        chunk = ordered[start : start + _CHUNK]
        labels = [column.label(f"column_{number}") for number, column in enumerate(columns)]
        around = axis.within((chunk[0][0], chunk[-1][1]))
        divided = axis.rows.select(_part(axis, chunk, 0).label("part"), *labels).where(around)
        part, *copies = divided.subquery("parts").c
        values = [function(column) for column in copies for function in (sa.func.min, sa.func.max)]
        counted = sa.select(part, sa.func.count(), *values).where(part.is_not(None)).group_by(part)
        for number, *extremes in axis.rows.connection.execute(counted):
            marked[chunk[number]] = _mark(extremes)
    return marked


def _part(axis: Axis, spans: Sequence[Span], first: int) -> sa.ColumnElement[Any]:
    """Return which span a row is in, NULL for none: halved, so that each row takes a few comparisons."""
    if len(spans) == 1:
        return sa.case((axis.within(spans[0]), sa.literal_column(str(first))))
    half = len(spans) // 2
    lower = axis.within((None, spans[half - 1][1]))
    return sa.case((lower, _part(axis, spans[:half], first)), else_=_part(axis, spans[half:], first + half))


def _mark(values: Sequence[Any]) -> str:
    return short_digest(" ".join(value.isoformat() if isinstance(value, datetime) else str(value) for value in values))
