"""Rows that do not fit into memory: on disk, and read a column or some rows at a time."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from mlops_assets.joined_dtypes import cast, is_object, joined_dtype
from mlops_assets.lazy import np, pa, pd

ROWS_AT_ONCE = 200_000
"""Rows of one chunk."""

_TO_PREALLOCATE = "iufbM"


class LargeFrame(ABC):
    """What a DataFrame would hold, of which a column or some rows are in memory at a time.

    `frame[name]` and `frame[[names]]` read whole columns, with the dtypes that a DataFrame of all rows would have;
    `chunks` reads rows. Rows are numbered from 0 in all of them.
    """

    @property
    @abstractmethod
    def dtypes(self) -> dict[str, Any]:
        """The dtype of each column, in their order."""

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of rows."""

    @abstractmethod
    def column(self, name: str) -> pd.Series[Any]:
        """Return a whole column (rows,)."""

    @abstractmethod
    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the rows of these columns, or of all, in their order; at least one chunk where there are columns."""

    @property
    def columns(self) -> pd.Index[Any]:
        """The names of the columns."""
        return pd.Index(list(self.dtypes))

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns."""
        return len(self), len(self.dtypes)

    @overload
    def __getitem__(self, name: str) -> pd.Series[Any]: ...
    @overload
    def __getitem__(self, name: list[str]) -> pd.DataFrame: ...
    def __getitem__(self, name: str | list[str]) -> pd.Series[Any] | pd.DataFrame:
        """Return one column, or some as a DataFrame."""
        if isinstance(name, str):
            return self.column(name)
        return pd.DataFrame({part: self.column(part) for part in name}, columns=name)

    def typical_row(self) -> pd.DataFrame:
        """Return the first row with a value in each column of objects that has one, which shows their type."""
        row = self.head(1)
        objects = [name for name, dtype in self.dtypes.items() if is_object(dtype)]
        for name in objects if len(row) else ():
            values = (chunk[name].dropna() for chunk in self.chunks([name]))
            first = next((column.iloc[0] for column in values if len(column)), None)
            row[name] = pd.Series([first], dtype=object)
        return row

    def head(self, rows: int = 5) -> pd.DataFrame:
        """Return the first rows, at most one chunk."""
        return next(iter(self.chunks()), pd.DataFrame()).head(rows)


@dataclass
class _Part:
    """A piece of a column in a file of its own."""

    path: Path
    dtype: Any
    rows: int
    is_empty: bool

    def read(self, dtype: Any) -> pd.Series[Any]:
        with pa.OSFile(str(self.path)) as file:
            table = pa.ipc.open_file(file).read_all()
        if hasattr(self.dtype, "__from_arrow__"):  # as Int64, which Arrow would give as float64 where some are missing
            values = pd.Series(self.dtype.__from_arrow__(table.column(0)))
        else:
            values = table.to_pandas(ignore_metadata=True)["values"]
        return cast(values, dtype)


@dataclass
class _Column:
    parts: list[_Part] = field(default_factory=list)

    @property
    def dtype(self) -> Any:
        return joined_dtype((part.dtype, part.is_empty) for part in self.parts)

    def read(self, rows: int) -> pd.Series[Any]:
        dtype = self.dtype
        if len(self.parts) == 1:
            return self.parts[0].read(dtype)
        if not (isinstance(dtype, np.dtype) and dtype.kind in _TO_PREALLOCATE):
            return pd.concat([part.read(dtype) for part in self.parts], ignore_index=True)
        values, start = np.empty(rows, dtype), 0
        for part in self.parts:
            values[start : start + part.rows] = part.read(dtype).to_numpy()
            start += part.rows
        return pd.Series(values, copy=False)


class DiskFrame(LargeFrame):
    """A frame in a temporary folder, which goes with the object: each column in files of `ROWS_AT_ONCE` rows.

    The folder is made where `TMPDIR` says; it needs as much space as the rows take in memory.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mlops-assets-")
        self._columns: dict[str, _Column] = {}
        self._dtypes: dict[str, Any] | None = None
        self._rows, self._files = 0, 0

    @classmethod
    def of_chunks(cls, chunks: Iterable[pd.DataFrame]) -> DiskFrame:
        """Return the rows of all chunks; a column has the dtype that holds the values of each of them."""
        frame = cls()
        for chunk in rechunked(chunks):
            if not frame._columns:
                frame._columns = {str(name): _Column() for name in chunk.columns}
            for name in frame._columns:
                frame._columns[name].parts.append(frame._written(chunk[name]))
            frame._rows += len(chunk)
        return frame

    @property
    def dtypes(self) -> dict[str, Any]:
        """The dtype of each column, in their order."""
        if self._dtypes is None:
            self._dtypes = {name: column.dtype for name, column in self._columns.items()}
        return self._dtypes

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def column(self, name: str) -> pd.Series[Any]:
        """Return a whole column (rows,)."""
        return self._columns[name].read(self._rows).rename(name)

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the rows of these columns, or of all, at most `ROWS_AT_ONCE` at a time."""
        names, dtypes, start = list(self._columns) if columns is None else list(columns), self.dtypes, 0
        for number in range(max((len(self._columns[name].parts) for name in names), default=0)):
            parts = {name: self._columns[name].parts[number].read(dtypes[name]) for name in names}
            chunk = pd.DataFrame(parts, columns=names)
            yield chunk.set_axis(pd.RangeIndex(start, start + len(chunk)))
            start += len(chunk)

    def put(self, name: str, values: pd.Series[Any]) -> None:
        """Write a column, in the place of the column of that name if there is one."""
        if self._columns and len(values) != self._rows:
            raise ValueError(f"column {name!r} has {len(values):,} rows, the others have {self._rows:,}")
        before = self._columns.get(name)
        slices = range(0, max(len(values), 1), ROWS_AT_ONCE)
        parts = [self._written(values.iloc[start : start + ROWS_AT_ONCE]) for start in slices]
        for part in parts:
            part.dtype = values.dtype  # pandas would take another for some slices
        self._columns[name], self._rows, self._dtypes = _Column(parts), len(values), None
        for part in before.parts if before else ():
            part.path.unlink()

    def drop(self, names: Iterable[str]) -> None:
        """Remove columns, of those that are there."""
        for name in names:
            for part in self._columns.pop(name, _Column()).parts:
                part.path.unlink()
        self._dtypes = None

    def _written(self, values: pd.Series[Any]) -> _Part:
        self._files += 1
        path = Path(self._folder.name, f"{self._files}.arrow")
        table = pa.table({"values": pa.Array.from_pandas(values)})
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        return _Part(path, values.dtype, len(values), not values.notna().any())


class SelectedColumns(LargeFrame):
    """Some of the columns of a large frame."""

    def __init__(self, frame: LargeFrame, names: Sequence[str]) -> None:
        self._frame, self._names = frame, list(names)

    @property
    def dtypes(self) -> dict[str, Any]:
        """The dtype of each column, in their order."""
        return {name: self._frame.dtypes[name] for name in self._names}

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._frame)

    def column(self, name: str) -> pd.Series[Any]:
        """Return a whole column (rows,)."""
        return self._frame.column(name)

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the rows of these columns, or of all selected."""
        return self._frame.chunks(self._names if columns is None else columns)


def without(frame: Any, names: Collection[str]) -> Any:
    """Return a frame, in memory or on disk, without these columns, of those that it has."""
    if isinstance(frame, LargeFrame):
        return SelectedColumns(frame, [name for name in frame.dtypes if name not in names])
    rest: pd.DataFrame = frame.loc[:, [name not in names for name in frame.columns]]
    return rest


class StoredFrame(LargeFrame):
    """A frame that is stored in one file: `read` returns some of its columns whole, `rows` yields chunks of them."""

    def __init__(
        self,
        rows: int,
        columns: Sequence[str],
        read: Callable[[list[str]], pd.DataFrame],
        in_chunks: Callable[[list[str]], Iterable[pd.DataFrame]],
    ) -> None:
        self._rows, self._names, self._read, self._in_chunks = rows, list(columns), read, in_chunks
        self._dtypes: dict[str, Any] | None = None

    @property
    def dtypes(self) -> dict[str, Any]:
        """The dtype of each column, in their order."""
        if self._dtypes is None:
            self._dtypes = dict(next(iter(self._in_chunks(self._names))).dtypes)
        return self._dtypes

    @property
    def columns(self) -> pd.Index[Any]:
        """The names of the columns."""
        return pd.Index(self._names)

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def column(self, name: str) -> pd.Series[Any]:
        """Return a whole column (rows,)."""
        return self._read([name])[name]

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield the rows of these columns, or of all, newly numbered."""
        start = 0
        for chunk in rechunked(self._in_chunks(self._names if columns is None else list(columns))):
            yield chunk.set_axis(pd.RangeIndex(start, start + len(chunk)))
            start += len(chunk)


def rechunked(chunks: Iterable[pd.DataFrame], rows: int | None = None) -> Iterator[pd.DataFrame]:
    """Yield the same rows in chunks of `rows` (the last may have fewer); one chunk without rows if there are none."""
    rows = rows or ROWS_AT_ONCE
    waiting: list[pd.DataFrame] = []
    count, yielded, template = 0, False, None
    for chunk in chunks:
        template = chunk.iloc[:0] if template is None else template
        while len(chunk):
            piece, chunk = chunk.iloc[: rows - count], chunk.iloc[rows - count :]
            waiting.append(piece)
            count += len(piece)
            if count == rows:
                yield _together(waiting)
                waiting, count, yielded = [], 0, True
    if waiting or (template is not None and not yielded):
        yield _together(waiting or [template])


def _together(frames: list[Any]) -> pd.DataFrame:
    if len(frames) == 1:
        alone: pd.DataFrame = frames[0].reset_index(drop=True)
        return alone
    dtypes = {
        name: joined_dtype((frame[name].dtype, not frame[name].notna().any()) for frame in frames)
        for name in frames[0].columns
    }
    same = [frame.assign(**{name: cast(frame[name], dtype) for name, dtype in dtypes.items()}) for frame in frames]
    together: pd.DataFrame = pd.concat(same, ignore_index=True)
    return together
