"""Which batches of a `Delta` table are ready."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlops_assets.lazy import pd
from mlops_assets.sources import Delta, Look, Waiting
from mlops_assets.sources.delta.opened import asked, opened, store_of
from mlops_assets.sources.delta.periods import marks_of
from mlops_assets.sources.periods import ready_periods

_MOST_TABLES = 1_000


class _Known(NamedTuple):
    """What the newest version of a table held: the marks of its periods, and how many rows have no time."""

    version: int
    commit: tuple[Any, ...]
    marks: dict[str, str]
    timeless: int


_known: dict[tuple[str, str | None, str | None], _Known] = {}


def look(delta: Delta, seen: Mapping[str, str] | None, now: pd.Timestamp) -> Look:
    """Return which batches are ready. A table without a new version costs one question about two files of its log."""
    assert delta.period is not None  # each table is divided by period
    place = (delta.path, delta.time, delta.period)
    known = _known.get(place)
    if known is None or _commits(delta, known.version) != (known.commit, None):
        version = opened(delta)
        number = int(version.table.version())
        marks, timeless = marks_of(delta, version, delta.period)
        known = _Known(number, _commits(delta, number)[0] or (), marks, timeless)
        if len(_known) >= _MOST_TABLES:
            _known.clear()
        _known[place] = known
    ready, waiting = ready_periods(known.marks, delta.period, now)
    if known.timeless:
        reason = f"{known.timeless:,} rows have no value in column {delta.time!r:.80}; fill it in"
        waiting = (Waiting(f"rows without {delta.time}", reason), *waiting)
    return Look(ready, waiting)


def _commits(delta: Delta, version: int) -> tuple[tuple[Any, ...] | None, tuple[Any, ...] | None]:
    """Return size and time of the commit of a version and of the one after it; None for one that is not there.

    The first shows whether the table was made anew since.
    """
    files, root = store_of(delta)
    paths = [f"{root}/_delta_log/{number:020d}.json" for number in (version, version + 1)]
    this, after = asked(delta, lambda: files.get_file_info(paths))
    return tuple((info.size, info.mtime_ns) if info.is_file else None for info in (this, after))  # type: ignore[return-value]
