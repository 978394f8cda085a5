"""The periods that moments lie in: their keys, where they begin and end, and which are over."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from mlops_assets.lazy import np, pd
from mlops_assets.sources.look import RUNNING, Period, Waiting

_FREQUENCY = {"day": "D", "week": "W-SUN", "month": "M", "quarter": "Q-DEC", "year": "Y-DEC"}
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


def period_start(key: str, period: Period) -> pd.Timestamp:
    """Return the first moment of a period, from its key."""
    if period == "week":
        return pd.Timestamp.fromisocalendar(int(key[:4]), int(key[6:]), 1)
    return pd.Period(key.replace("-Q", "Q"), freq=_FREQUENCY[period]).start_time


def period_end(moment: str | pd.Timestamp, period: Period) -> pd.Timestamp:
    """Return the first moment after a period, given its key or any moment in it."""
    key = moment if isinstance(moment, str) else period_key(moment, period)
    return pd.Period(period_start(key, period), freq=_FREQUENCY[period]).end_time.ceil("D")


def ready_periods(
    marks: Mapping[str, str], period: Period, now: pd.Timestamp | None
) -> tuple[dict[str, str], tuple[Waiting, ...]]:
    """Return the marks of the periods that are over, in order of time, and those that wait; `now` is in UTC."""
    over, running = periods_over(marks, period, pd.Timestamp(time.time(), unit="s") if now is None else now)
    return {key: marks[key] for key in over}, tuple(Waiting(key, RUNNING) for key in running)


def periods_over(keys: Collection[str], period: Period, now: pd.Timestamp) -> tuple[list[str], list[str]]:
    """Return the periods that are over and those that are not, each in order of time.

    A period is over when a row of a later period exists or its end has passed. A period that begins more than a
    day from now shows a wrong timestamp: it counts as over, so that a check can reject it, and as no evidence
    that another one is.
    """
    ordered = sorted(keys)
    future = [key for key in ordered if period_start(key, period) > now + _FUTURE_TOLERANCE]
    present = ordered[: len(ordered) - len(future)]
    running = [key for key in present[-1:] if period_end(key, period) > now]
    return [key for key in ordered if key not in running], running
