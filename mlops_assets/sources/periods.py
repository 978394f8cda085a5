"""The periods that moments lie in: their keys, where they begin and end, and which are over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

from mlops_assets.lazy import np, pd
from mlops_assets.sources.look import RUNNING, Period, Waiting

_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_Mark = TypeVar("_Mark")
_FUTURE_TOLERANCE = timedelta(days=1)


def period_key(moment: pd.Timestamp, period: Period) -> str:
    """Return the period that a moment lies in: "2011-01-31", "2011-W05" (ISO), "2011-01", "2011-Q1" or "2011"."""
    if period == "week":
        year, week, _ = moment.isocalendar()
        return f"{year:04d}-W{week:02d}"
    if period == "quarter":
        return f"{moment.year:04d}-Q{moment.quarter}"
    return moment.strftime({"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}[period])


def period_keys(times: pd.Series, period: Period) -> np.ndarray[Any, Any]:
    """Return the `period_key` of each moment, shape (rows,); with a zone, in UTC. None may be missing."""
    moments = times.dt.tz_convert("UTC").dt.tz_localize(None) if times.dt.tz is not None else times
    codes, days = pd.factorize(moments.dt.normalize())
    return np.array([period_key(pd.Timestamp(day), period) for day in days], dtype=object)[codes]


def period_span(key: str, period: Period) -> tuple[pd.Timestamp, pd.Timestamp]:
    """Return the first moment of a period and the first after it, from its key."""
    start = pd.Timestamp.fromisocalendar(int(key[:4]), int(key[6:]), 1) if period == "week" else pd.Timestamp(key)
    return start, start + pd.DateOffset(days=_DAYS.get(period, 0), months=_MONTHS.get(period, 0))


def ready_periods(
    marks: Mapping[str, _Mark], period: Period, now: pd.Timestamp
) -> tuple[dict[str, _Mark], tuple[Waiting, ...]]:
    """Return the marks of the periods that are over, in order of time, and those that wait; `now` is in UTC.

    A period is over when a row of a later period exists or its end has passed. A period that begins more than a
    day from now shows a wrong timestamp: it counts as over, so that a check can reject it, and as no evidence
    that another one is.
    """
    ordered = sorted(marks)
    present = [key for key in ordered if period_span(key, period)[0] <= now + _FUTURE_TOLERANCE]
    running = [key for key in present[-1:] if period_span(key, period)[1] > now]
    return {key: marks[key] for key in ordered if key not in running}, tuple(Waiting(key, RUNNING) for key in running)
