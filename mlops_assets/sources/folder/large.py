"""A batch of a `Folder` that does not fit into memory, read a column at a time."""

from __future__ import annotations

from contextlib import ExitStack
from typing import BinaryIO

from mlops_assets.disk_frame import LargeFrame
from mlops_assets.disk_pieces import DiskPieces
from mlops_assets.lazy import pd
from mlops_assets.sources import Folder, Period
from mlops_assets.sources.folder.csv_columns import split_by_column
from mlops_assets.sources.folder.csv_files import AS_TEXT, Scan, parse_chunks, read_csv, require_column, scan_csv
from mlops_assets.sources.folder.files import whole_times
from mlops_assets.sources.folder.listing import File
from mlops_assets.sources.folder.opening import open_file
from mlops_assets.sources.folder.parquet_columns import ParquetColumns, WithTimes
from mlops_assets.sources.folder.parquet_files import read_parquet, unpacked_mb
from mlops_assets.sources.folder.read import (
    batch_file,
    csv_part,
    files_of_period,
    parquet_part,
    times_of_text,
    with_times,
)
from mlops_assets.sources.periods import period_keys
from mlops_assets.sources.raised import named


def read_rows(folder: Folder, key: str, about: str) -> pd.DataFrame | LargeFrame:
    """Return all rows of a batch as `read`; those of files beyond `limits.memory_mb` by column.

    `about` names the batch in messages.
    """
    with named(about):
        if folder.period is not None:
            return _period_rows(folder, key, folder.period)
        file = batch_file(folder, key)
        with named(file.shown), ExitStack() as opened:
            stream = opened.enter_context(open_file(folder, file))
            if not file.is_parquet:
                return _csv_rows(folder, stream, (about, file.shown))
            if unpacked_mb(stream) <= folder.limits.memory_mb:
                return with_times(read_parquet(stream, folder), folder)
            return ParquetColumns(folder, stream, (about, file.shown), opened.pop_all())


def _csv_rows(folder: Folder, stream: BinaryIO, about: tuple[str, str]) -> pd.DataFrame | LargeFrame:
    scan = scan_csv(stream, folder)
    if scan.by_chunk and scan.unpacked_mb > folder.limits.memory_mb:
        return split_by_column(stream, folder, scan, about)
    return with_times(read_csv(stream, folder, scan), folder)


def _period_rows(folder: Folder, key: str, period: Period) -> pd.DataFrame | LargeFrame:
    """Return the rows of a period; on disk once the files that hold some unpack to more than fits."""
    parts: list[pd.DataFrame] = []
    on_disk: DiskPieces | None = None
    unpacked = 0.0
    for file in files_of_period(folder, key, period):
        with named(file.shown), open_file(folder, file) as stream:
            scan = None if file.is_parquet else scan_csv(stream, folder)
            unpacked += unpacked_mb(stream) if scan is None else scan.unpacked_mb
            if unpacked <= folder.limits.memory_mb:
                parts.append(_part(folder, file, stream, scan, key, period))
                continue
            on_disk = on_disk or _spilled(parts)
            on_disk.append([_large_part(folder, stream, scan, key, period)])
    if on_disk is not None:
        return on_disk
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def _spilled(parts: list[pd.DataFrame]) -> DiskPieces:
    pieces = DiskPieces()
    while parts:
        pieces.append([parts.pop(0)])
    return pieces


def _part(folder: Folder, file: File, stream: BinaryIO, scan: Scan | None, key: str, period: Period) -> pd.DataFrame:
    if file.is_parquet:
        return parquet_part(stream, folder, key, period)
    return csv_part(stream, folder, key, period, scan)


def _large_part(
    folder: Folder, stream: BinaryIO, scan: Scan | None, key: str, period: Period
) -> pd.DataFrame | LargeFrame:
    """Return the rows of a period that a file holds, of which a column is in memory at a time."""
    time = str(folder.time)
    if scan is None:
        columns = ParquetColumns(folder, stream)
        times = whole_times(columns.values(time), folder)
        columns.kept = period_keys(times, period) == key
        return WithTimes(columns, time, times[columns.kept])
    if not scan.by_chunk:
        return csv_part(stream, folder, key, period, scan)
    require_column(scan.header, time)
    chunks = parse_chunks(stream, folder, scan, usecols=[time], **AS_TEXT)
    times = times_of_text(pd.concat([chunk[time] for chunk in chunks], ignore_index=True), folder)
    kept = period_keys(times, period) == key
    return WithTimes(split_by_column(stream, folder, scan, (), kept), time, times[kept])
