"""The batches of a `Frame`: its callable called, what it returned divided and checked."""

import re
import time as clock
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pandas as pd

from mlops_assets.callables import refuse_foreign
from mlops_assets.errors import DeclarationError, SourceError
from mlops_assets.sources.batches import RUNNING, Look, Period, Waiting, is_safe, safe_key
from mlops_assets.sources.contents import data_version, parse_times, period_keys, periods_over

if TYPE_CHECKING:
    from mlops_assets.sources.frame import Frame
    from mlops_assets.sources.upstream_asset import UpstreamAsset


def look(source: "Frame", now: pd.Timestamp | None) -> Look:
    """Which batches are ready, each marked with its data version. SourceError when the callable fails.

    `seen` is not needed: what a callable returns is whole. `now` is in UTC without a zone.
    """
    now = pd.Timestamp(clock.time(), unit="s") if now is None else now
    marks: dict[str, str] = {}
    clashes = []
    for key, batch in _batches(source):
        if key in marks:
            clashes.append(Waiting(key, "yielded twice: the first is taken; expected each key once"))
        else:
            marks[key] = data_version(batch)
    if source.period is None:
        return Look(marks, tuple(clashes), {})
    over, running = periods_over(marks, source.period, now)
    return Look({key: marks[key] for key in over}, tuple(Waiting(key, RUNNING) for key in running), {})


def read(source: "Frame", key: str) -> pd.DataFrame:
    """All rows of a batch; SourceError when it is not there, too large or of an unsafe name."""
    for name, batch in _batches(source, only=key):
        if name == key:
            return batch
    raise SourceError(
        f"{source.title}: batch {key!r:.120}: the callable no longer gives it. Mend it, or give up the batch."
    )


def _batches(source: "Frame", only: str | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each batch with its safe key; a batch that must not be used raises once it is the one asked for."""
    try:
        result = _callable(source)()
        if source.period is not None:
            yield from divided(source, result, source.period)
        elif isinstance(result, pd.DataFrame) or not hasattr(result, "__iter__"):
            raise SourceError(
                f"{source.title}: returned a {type(result).__name__}; expected pairs (key, DataFrame), or "
                "declare period= to have one DataFrame divided."
            )
        else:
            for pair in result:
                name, batch = _pair(source, pair)
                if only == safe_key(name):
                    refuse(source, name, batch)
                    batch = timed(source, name, batch)
                yield safe_key(name), batch
    except (SourceError, DeclarationError):
        raise
    except Exception as problem:  # the callable is the user's
        text = re.sub(r"://[^/@\s]*@", "://***@", str(problem))
        place = traceback.extract_tb(problem.__traceback__)[-1]
        raise SourceError(
            f"{source.title}: the callable raised {type(problem).__name__}: {text:.200} "
            f"({place.name}, line {place.lineno}). Mend it; nothing was read."
        ) from None  # a chained traceback would show what was taken out of the text


def _callable(source: "Frame") -> Callable[[], Any]:
    if not isinstance(source.load, str):
        return source.load
    module, _, attribute = source.load.replace(":", ".").rpartition(".")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as problem:
        raise DeclarationError(
            f"Frame: {source.load!r:.80} cannot be imported ({problem}); expected 'package.module:function'."
        ) from None
    if not callable(found):
        raise DeclarationError(f"Frame: {source.load!r:.80} is a {type(found).__name__}; expected a function.")
    try:
        refuse_foreign(found, source.load, "frame")
    except DeclarationError as problem:
        raise DeclarationError(f"Frame: load: {problem}") from None
    return found  # type: ignore[no-any-return]


def _pair(source: "Frame", pair: Any) -> tuple[str, pd.DataFrame]:
    if isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], pd.DataFrame):
        return pair
    raise SourceError(f"{source.title}: yielded {type(pair).__name__}; expected pairs (key as text, DataFrame).")


def divided(source: "Frame | UpstreamAsset", frame: Any, period: Period) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each period of a frame, with its key."""
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


def timed(source: "Frame | UpstreamAsset", name: str, batch: pd.DataFrame) -> pd.DataFrame:
    """The batch with its column of time as datetimes, where it has it."""
    if source.time is None or source.time not in batch:
        return batch
    try:
        return batch.assign(**{source.time: parse_times(batch[source.time])})
    except SourceError as problem:
        raise SourceError(f"{source.title}: batch {name!r}: {problem}.") from None


def refuse(source: "Frame | UpstreamAsset", name: str, batch: pd.DataFrame) -> None:
    """SourceError where a batch has an unsafe key, or more rows or columns than its source allows."""
    if not is_safe(name):
        raise SourceError(
            f"{source.title}: batch key {name!r:.80} is unsafe; expected a-z, A-Z, 0-9, '.', '_' and '-' "
            "only, at most 100 of them. Yield another key."
        )
    for what, found, most in (
        ("rows", len(batch), source.limits.max_rows),
        ("columns", batch.shape[1], source.limits.max_columns),
    ):
        if found > most:
            raise SourceError(
                f"{source.title}: batch {name!r}: has {found:,} {what}; expected at most {most:,}. Make the "
                f"batches smaller, or raise limits.max_{what}."
            )
