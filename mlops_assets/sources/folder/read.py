"""One batch of a `Folder` read with care."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from mlops_assets.errors import SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources import Folder, Period
from mlops_assets.sources.folder.csv_files import Scan, infer_types, read_csv, read_csv_text, require_column
from mlops_assets.sources.folder.files import file_of, files_of, periods_of, whole_times
from mlops_assets.sources.folder.listing import File
from mlops_assets.sources.folder.opening import open_file
from mlops_assets.sources.folder.parquet_files import read_parquet, read_table, to_pandas
from mlops_assets.sources.periods import period_keys
from mlops_assets.sources.raised import named
from mlops_assets.sources.times import parse_times

_LIST_SECONDS = 120.0
"""The longest that a run waits for the listing of an object store."""


def read(folder: Folder, key: str) -> pd.DataFrame:
    """Return all rows of a batch; SourceError says which file, what is wrong and what to do."""
    if folder.period is not None:
        return _read_period(folder, key, folder.period)
    file = batch_file(folder, key)
    with named(file.shown), open_file(folder, file) as stream:
        return with_times(read_parquet(stream, folder) if file.is_parquet else read_csv(stream, folder), folder)


def batch_file(folder: Folder, key: str) -> File:
    """Return the file that is a batch; SourceError where there is none."""
    with _listed():
        file = file_of(folder, key, _LIST_SECONDS)
    if file is None:
        raise SourceError("there is no such file; it was there before. Put it back, or give up the batch")
    return file


@contextmanager
def _listed() -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise SourceError(f"the folder cannot be listed ({problem.strerror})") from None


def with_times(frame: pd.DataFrame, folder: Folder) -> pd.DataFrame:
    """Return the rows of a file with its column of time as datetimes, where it has one."""
    if folder.time is not None and folder.time in frame and len(frame):
        frame[folder.time] = parse_times(frame[folder.time], folder.time_format)
    return frame


def files_of_period(folder: Folder, key: str, period: Period) -> list[File]:
    """Return the files that hold rows of a period; SourceError where there is none."""
    with _listed():
        files = files_of(folder, _LIST_SECONDS)[0]
    parts = []
    for file in files:
        periods = periods_of(folder, file, period)
        if isinstance(periods, SourceError):
            if key == file.undivided_key:
                with named(file.shown):
                    raise SourceError(str(periods))
        elif key in periods:
            parts.append(file)
    if not parts:
        raise SourceError(f"no file holds a row of this {period}; it was there before. Put it back")
    return parts


def _read_period(folder: Folder, key: str, period: Period) -> pd.DataFrame:
    parts = []
    for file in files_of_period(folder, key, period):
        with named(file.shown), open_file(folder, file) as stream:
            read_part = parquet_part if file.is_parquet else csv_part
            parts.append(read_part(stream, folder, key, period))
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def parquet_part(stream: BinaryIO, folder: Folder, key: str, period: Period) -> pd.DataFrame:
    """Return the rows of a period that a parquet file holds."""
    time = str(folder.time)
    table = read_table(stream, folder)
    times = whole_times(to_pandas(table.select([time]), folder)[time], folder)
    rows = period_keys(times, period) == key
    return to_pandas(table.filter(rows), folder).assign(**{time: times[rows].reset_index(drop=True)})


def csv_part(stream: BinaryIO, folder: Folder, key: str, period: Period, scan: Scan | None = None) -> pd.DataFrame:
    """Return the rows of a period that a CSV file holds, with the types that these rows have."""
    time = str(folder.time)
    text = read_csv_text(stream, folder, scan)
    require_column(text.columns, time)
    times = times_of_text(text[time], folder)
    rows = period_keys(times, period) == key
    return infer_types(text[rows], folder).assign(**{time: times[rows].reset_index(drop=True)})


def times_of_text(text: pd.Series, folder: Folder) -> pd.Series:
    """Return the column of time from the text that stands in a CSV file; SourceError where one is missing."""
    return whole_times(text.where(text != ""), folder)
