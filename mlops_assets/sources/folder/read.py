"""One batch of a `Folder` read with care."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mlops_assets.errors import SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources import Folder, Period
from mlops_assets.sources.folder.csv_files import infer_types, read_csv, read_csv_text, require_column
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
        with _listed():
            files = files_of(folder, _LIST_SECONDS)[0]
        return _read_period(folder, key, files, folder.period)
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


def _read_period(folder: Folder, key: str, files: list[File], period: Period) -> pd.DataFrame:
    parts = []
    for file in files:
        periods = periods_of(folder, file, period)
        with named(file.shown):
            if isinstance(periods, SourceError):
                if key == file.undivided_key:
                    raise SourceError(str(periods))
            elif key in periods:
                parts.append(_read_part(folder, file, key, period))
    if not parts:
        raise SourceError(f"no file holds a row of this {period}; it was there before. Put it back")
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def _read_part(folder: Folder, file: File, key: str, period: Period) -> pd.DataFrame:
    time = str(folder.time)
    with open_file(folder, file) as stream:
        if file.is_parquet:
            table = read_table(stream, folder)
            times = whole_times(to_pandas(table.select([time]), folder)[time], folder)
            rows = period_keys(times, period) == key
            frame = to_pandas(table.filter(rows), folder)
        else:
            text = read_csv_text(stream, folder)
            require_column(text.columns, time)
            times = whole_times(text[time].where(text[time] != ""), folder)
            rows = period_keys(times, period) == key
            frame = infer_types(text[rows], folder)
    return frame.assign(**{time: times[rows].reset_index(drop=True)})
