"""A file of a `Folder` that does not fit into memory, read a column at a time."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO

from mlops_assets.disk_frame import LargeFrame
from mlops_assets.lazy import pd
from mlops_assets.sources import Folder
from mlops_assets.sources.folder.csv_columns import split_by_column
from mlops_assets.sources.folder.csv_files import read_csv, scan_csv
from mlops_assets.sources.folder.opening import open_file
from mlops_assets.sources.folder.parquet_files import OpenedParquet, read_parquet, to_pandas, unpacked_mb
from mlops_assets.sources.folder.read import batch_file, with_times
from mlops_assets.sources.raised import named
from mlops_assets.sources.times import parse_times


def read_rows(folder: Folder, key: str, about: str) -> pd.DataFrame | LargeFrame:
    """Return all rows of a batch as `read`; those of a file beyond `limits.memory_mb` by column.

    `about` names the batch in messages.
    """
    with named(about):
        file = batch_file(folder, key)
        with named(file.shown), ExitStack() as opened:
            stream = opened.enter_context(open_file(folder, file))
            if not file.is_parquet:
                return _csv_rows(folder, stream, (about, file.shown))
            if unpacked_mb(stream) <= folder.limits.memory_mb:
                return with_times(read_parquet(stream, folder), folder)
            return ParquetColumns(folder, stream, opened.pop_all(), (about, file.shown))


def _csv_rows(folder: Folder, stream: BinaryIO, about: tuple[str, str]) -> pd.DataFrame | LargeFrame:
    scan = scan_csv(stream, folder)
    if scan.by_chunk and scan.unpacked_mb > folder.limits.memory_mb:
        return split_by_column(stream, folder, scan, about)
    return with_times(read_csv(stream, folder, scan), folder)


class ParquetColumns(LargeFrame):
    """The columns of a parquet file as its folder gives them; the file stays open as long as the object lives."""

    def __init__(self, folder: Folder, stream: BinaryIO, opened: ExitStack, about: tuple[str, str]) -> None:
        self._folder, self._about = folder, about
        weakref.finalize(self, opened.close)
        self._file = OpenedParquet(stream, folder)

    @property
    def dtypes(self) -> dict[str, Any]:
        """The names of the columns; their dtypes are known once they are read."""
        return dict.fromkeys(self._file.names)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._file.rows

    def column(self, name: str) -> pd.Series[Any]:
        """Return a whole column (rows,)."""
        folder = self._folder
        with named(self._about[0]), named(self._about[1]):
            values = to_pandas(self._file.read(name), folder)[name]
            return parse_times(values, folder.time_format) if name == folder.time and len(values) else values

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield all rows of these columns, or of all, at once."""
        yield self[list(self.dtypes if columns is None else columns)]
