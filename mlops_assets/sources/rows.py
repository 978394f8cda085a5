"""What holds for the rows of every source: divided by period, times as times, and no more than is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlops_assets.errors import DeclarationError, SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources.keys import is_safe
from mlops_assets.sources.look import Period
from mlops_assets.sources.periods import period_keys
from mlops_assets.sources.source import Source
from mlops_assets.sources.times import parse_times


def divided(source: Source, frame: Any, period: Period) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of each period of a frame, with its key."""
    if source.time is None:
        raise DeclarationError(f"{source.title}: period={period!r} needs time, the column to divide the rows by.")
    if not isinstance(frame, pd.DataFrame):
        raise SourceError(f"{source.title}: returned a {type(frame).__name__}; expected a DataFrame.")
    refuse(source, period, frame)
    if source.time not in frame:
        hint = " It is the index: call reset_index()." if frame.index.name == source.time else ""
        raise SourceError(
            f"{source.title}: has no column {source.time!r}; found {list(frame.columns)[:8]!r:.200}.{hint}"
        )
    try:
        times = parse_times(frame[source.time])
    except SourceError as problem:
        raise SourceError(f"{source.title}: {problem}.") from None
    if bool(times.isna().any()):
        raise SourceError(
            f"{source.title}: column {source.time!r} is missing in {int(times.isna().sum()):,} rows; expected a "
            "time in every row, to divide them by."
        )
    keys = period_keys(times, period)
    whole = frame.assign(**{source.time: times})
    for key in sorted(set(keys)):
        yield key, whole[keys == key].reset_index(drop=True)


def timed(source: Source, name: str, batch: pd.DataFrame) -> pd.DataFrame:
    """Return the batch with its column of time as datetimes, where it has it."""
    if source.time is None or source.time not in batch:
        return batch
    try:
        return batch.assign(**{source.time: parse_times(batch[source.time])})
    except SourceError as problem:
        raise SourceError(f"{source.title}: batch {name!r}: {problem}.") from None


def refuse(source: Source, name: str, batch: pd.DataFrame) -> None:
    """Raise SourceError where a batch has an unsafe key, or more rows or columns than its source allows."""
    if not is_safe(name):
        raise SourceError(
            f"{source.title}: batch key {name!r:.80} is unsafe; expected a-z, A-Z, 0-9, '.', '_' and '-' "
            "only, at most 100 of them. Yield another key."
        )
    for what, found, expected in source.limits.exceeded(*batch.shape):
        raise SourceError(
            f"{source.title}: batch {name!r}: {found}; {expected}. Make the batches smaller, or "
            f"raise limits.max_{what}."
        )
