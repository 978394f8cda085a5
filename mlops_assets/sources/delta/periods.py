"""Which periods each file of a `Delta` table holds rows of: by the table's statistics, else by its rows."""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mlops_assets.errors import SourceUnavailableError
from mlops_assets.lazy import pa, pd
from mlops_assets.sources import Delta, Period
from mlops_assets.sources.delta.opened import Opened, asked
from mlops_assets.sources.keys import short_digest
from mlops_assets.sources.periods import period_key, period_keys
from mlops_assets.sources.times import parse_times

LOOK_SECONDS = 8.0
"""After so long a look leaves the files that it did not come to for the next one, which knows the others already."""

_MOST_FILES = 50_000


@dataclass(frozen=True)
class FilePeriods:
    """The periods of the rows of a file, and how many rows have no time."""

    periods: tuple[str, ...]
    timeless: int = 0


def marks_of(delta: Delta, version: Opened, period: Period) -> tuple[dict[str, str], int]:
    """Return a mark of each period that has rows, which changes with the files that hold them; rows without a time.

    A file of a Delta table never changes, so what is known of one is kept by its name.
    """
    files: dict[str, list[str]] = {}
    timeless = 0
    for path, found in _periods_by_file(delta, version, period):
        timeless += found.timeless
        for key in found.periods:
            files.setdefault(key, []).append(path)
    return {key: short_digest("\n".join(sorted(paths))) for key, paths in files.items()}, timeless


def moments(values: pa.ChunkedArray | pa.Array) -> pd.Series:
    """Return times of Arrow as datetimes; dates as their first moment."""
    kind = values.type
    if pa.types.is_date(kind):
        values = values.cast(pa.date32()).cast(pa.timestamp("us"))
    elif pa.types.is_timestamp(kind) and kind.unit != "us":
        values = values.cast(pa.timestamp("us", kind.tz), safe=False)
    return parse_times(values.to_pandas().rename("time"))


def _periods_by_file(delta: Delta, version: Opened, period: Period) -> Iterator[tuple[str, FilePeriods]]:
    ends = clock.monotonic() + LOOK_SECONDS
    statistics = _statistics(str(delta.time), version.table)
    fragments = list(version.rows.get_fragments())
    for number, fragment in enumerate(fragments):
        found = _by_statistics(statistics.get(fragment.path), period)
        if found is None:
            if clock.monotonic() > ends:
                raise SourceUnavailableError(
                    f"{number:,} of {len(fragments):,} files were divided by {period} in {LOOK_SECONDS:.0f} s. "
                    "The next look goes on; nothing needs to be done"
                )
            found = _by_rows(delta, period, f"{version.root}/{fragment.path}", _Fragment(fragment, version.rows.schema))
        yield fragment.path, found


def _statistics(time: str, table: Any) -> Mapping[str, dict[str, Any]]:
    """Return what the table's log says of the column of time of each file, by the file's path."""
    added = pa.table(table.get_add_actions(flatten=True))
    names = {f"{part}.{time}": part for part in ("min", "max", "null_count", "partition")}
    chosen = added.select(["path", "num_records", *(name for name in names if name in added.column_names)])
    rows = chosen.rename_columns([names.get(name, name) for name in chosen.column_names]).to_pylist()
    return {row["path"]: row for row in rows}


def _by_statistics(row: dict[str, Any] | None, period: Period) -> FilePeriods | None:
    """Return the period of a file whose rows are all of one; None where its rows have to be asked."""
    if row is None:
        return None
    if row.get("num_records") == 0:
        return FilePeriods(())
    if "partition" in row:  # the column is in the names of folders, and all rows of a file have one value
        low = high = row["partition"]
        if low is None:
            return FilePeriods((), row.get("num_records") or 1)
    else:
        low, high = row.get("min"), row.get("max")
        if low is None or high is None or row.get("null_count") != 0:
            return None
    keys = {period_key(_in_utc(moment), period) for moment in (low, high)}
    return FilePeriods(tuple(keys)) if len(keys) == 1 else None


def _in_utc(moment: Any) -> pd.Timestamp:
    stamp = pd.Timestamp(moment)
    return stamp if stamp.tz is None else stamp.tz_convert("UTC").tz_localize(None)


class _Fragment:
    """A file that is not opened yet; all are alike to the cache, which goes by the file's name."""

    def __init__(self, fragment: Any, schema: pa.Schema) -> None:
        self.fragment, self.schema = fragment, schema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Fragment)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=_MOST_FILES)
def _by_rows(delta: Delta, period: Period, path: str, file: _Fragment) -> FilePeriods:
    time = str(delta.time)
    rows = asked(delta, lambda: file.fragment.to_table(schema=file.schema, columns=[time], use_threads=False))
    column = rows.column(time)
    times = moments(column.drop_null())
    keys = tuple(sorted(set(period_keys(times, period)))) if len(times) else ()
    return FilePeriods(keys, column.null_count)
