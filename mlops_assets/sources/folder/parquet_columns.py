"""The columns of a parquet file that does not fit into memory."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from typing import Any, BinaryIO

from mlops_assets.by_column import ByColumn, Derived
from mlops_assets.lazy import np, pd
from mlops_assets.sources import Folder
from mlops_assets.sources.folder.csv_files import require_column
from mlops_assets.sources.folder.parquet_files import OpenedParquet, to_pandas
from mlops_assets.sources.raised import named
from mlops_assets.sources.times import parse_times


class ParquetColumns(ByColumn):
    """The columns of a parquet file as its folder gives them.

    `about`: what messages begin with. `opened`: what is closed once the object is gone. `kept`: which rows (rows of the
    file,) count; all without it.
    """

    kept: np.ndarray[Any, Any] | None = None

    def __init__(
        self, folder: Folder, stream: BinaryIO, about: Sequence[str] = (), opened: ExitStack | None = None
    ) -> None:
        self._folder, self._about = folder, about
        if opened is not None:
            weakref.finalize(self, opened.close)
        self._file = OpenedParquet(stream, folder)

    @property
    def names(self) -> Collection[str]:
        """The names of the columns, in their order."""
        return self._file.names

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._file.rows if self.kept is None else int(self.kept.sum())

    def column(self, name: str) -> pd.Series[Any]:
        """Return a whole column (rows,)."""
        folder = self._folder
        with named(*self._about):
            values = self.values(name)
            return parse_times(values, folder.time_format) if name == folder.time and len(values) else values

    def values(self, name: str) -> pd.Series[Any]:
        """Return a column as it stands in the file, times as they are."""
        require_column(self._file.names, name)
        table = self._file.read(name)
        return to_pandas(table if self.kept is None else table.filter(self.kept), self._folder)[name]


class WithTimes(Derived):
    """The columns of a frame, with times (rows,) in the place of one of them."""

    def __init__(self, frame: ByColumn, time: str, times: pd.Series[Any]) -> None:
        super().__init__(frame)
        self._time, self._times = time, times.reset_index(drop=True)

    def column(self, name: str) -> pd.Series[Any]:
        """Return a whole column (rows,)."""
        return self._times if name == self._time else self._frame.column(name)
