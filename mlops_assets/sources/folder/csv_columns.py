"""The rows of a CSV file that does not fit into memory: its text by column on disk, from which each gets its type."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from mlops_assets import disk_frame
from mlops_assets.by_column import ByColumn
from mlops_assets.disk_frame import DiskFrame
from mlops_assets.errors import SourceError
from mlops_assets.lazy import np, pa, pd
from mlops_assets.sources import Folder
from mlops_assets.sources.folder.csv_files import AS_TEXT, Scan, parse, parse_chunks, require_whole
from mlops_assets.sources.raised import named
from mlops_assets.sources.times import parse_times

_BY_CHUNK = ("str", "string", "int64")
"""Declared dtypes by which a value is read in one way, whatever else the column holds."""

_IN_LINE = re.compile(r"in line (\d+)")


class CsvColumns(ByColumn):
    """The columns of a CSV file as `read_csv` gives them, each from a CSV file of its own.

    These lie in a temporary folder, which goes with the object. `about`: what messages begin with.
    """

    def __init__(self, folder: Folder, about: Sequence[str]) -> None:
        self._folder, self._about = folder, about
        self._place = tempfile.TemporaryDirectory(prefix="mlops-assets-")
        self._names: list[str] = []
        self._rows = 0

    @property
    def names(self) -> Collection[str]:
        """The names of the columns, in their order."""
        return self._names

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def column(self, name: str) -> pd.Series[Any]:
        """Return a whole column (rows,)."""
        folder = self._folder
        with named(*self._about):
            values = self.typed(name)
            return parse_times(values, folder.time_format) if name == folder.time and len(values) else values

    def take(self, texts: pd.DataFrame) -> None:
        """Append rows whose values are the texts of the file."""
        quoted = pa.csv.WriteOptions(include_header=False, quoting_style="all_valid", batch_size=65_536)
        if not self._names:
            self._names = [str(name) for name in texts.columns]
            for name in self._names:
                header = name.replace('"', '""')
                self._file(name).write_bytes(f'"{header}"\n'.encode())
        for name in self._names:
            cells = pa.table({"text": pa.Array.from_pandas(texts[name].fillna(""), type=pa.large_string())})
            with self._file(name).open("ab") as file:
                pa.csv.write_csv(cells, file, quoted)
        self._rows += len(texts)

    def typed(self, name: str) -> pd.Series[Any]:
        """Return a whole column in the dtype that pandas gives it where it reads the file at once."""
        declared = self._folder.dtypes.get(name)
        if declared is None:
            options = self._inferred(name)
            return self._at_once(name) if options is None else self._by_chunk(name, options)
        if declared in _BY_CHUNK:
            with suppress(SourceError):  # its reason is that of the whole column
                return self._by_chunk(name, {})
        return self._at_once(name)

    def _inferred(self, name: str) -> dict[str, Any] | None:
        """Return the options by which each chunk is read as it is in the whole column; None where there are none.

        pandas tries integers, floats, booleans and text. What integers beyond 64 bits turn a column into depends on
        the values before them, so such a column has to be read at once.
        """
        kinds = set()
        for chunk in self._parsed(name, {"dtype_backend": "numpy_nullable"}):
            kind = str(chunk[name].dtype)
            if kind == "UInt64" or (kind.startswith("string") and self._some_are_long_integers(chunk[name])):
                return None
            if chunk[name].notna().any():
                kinds.add(kind)
        if kinds <= {"Int64"} or kinds == {"boolean"}:
            return {}
        return {"dtype": "float64" if kinds <= {"Int64", "Float64"} else str}

    def _some_are_long_integers(self, texts: pd.Series[Any]) -> bool:
        digits = rf"\s*[+-]?[0-9{re.escape(self._folder.thousands or '')}]{{19,}}\s*"
        return bool(texts.str.fullmatch(digits).fillna(False).any())

    def _by_chunk(self, name: str, options: dict[str, Any]) -> pd.Series[Any]:
        return DiskFrame.of_chunks(self._parsed(name, options))[name]

    def _parsed(self, name: str, options: dict[str, Any]) -> Iterator[pd.DataFrame]:
        with self._file(name).open("rb") as file:
            yield from parse_chunks(file, self._folder, self._scan(name), **self._options(name), **options)

    def _at_once(self, name: str) -> pd.Series[Any]:
        position = self._names.index(name)
        try:
            with self._file(name).open("rb") as file:
                return parse(file, self._folder, self._scan(name), **self._options(name))[name]
        except SourceError as problem:
            raise SourceError(str(problem).replace("in column 0)", f"in column {position})")) from None

    def _scan(self, name: str) -> Scan:
        return Scan(header=[name], delimiter=self._folder.delimiter)

    def _options(self, name: str) -> dict[str, Any]:
        declared = self._folder.dtypes.get(name)
        return {"encoding": "utf-8", **({} if declared is None else {"dtype": {name: declared}})}

    def _file(self, name: str) -> Path:
        return Path(self._place.name, f"{self._names.index(name)}.csv")


def split_by_column(
    stream: BinaryIO, folder: Folder, scan: Scan, about: Sequence[str], kept: np.ndarray[Any, Any] | None = None
) -> CsvColumns:
    """Return all rows of a file, or the `kept` ones (rows,); SourceError as of `read_csv`."""
    if scan.has_long_rows:
        _refuse_long_rows(stream, folder, scan)
    columns, rows, last = CsvColumns(folder, about), 0, None
    for chunk in parse_chunks(stream, folder, scan, **AS_TEXT):
        columns.take(chunk if kept is None else chunk[kept[rows : rows + len(chunk)]])
        rows += len(chunk)
        last = chunk.iloc[-1, -1] if len(chunk) else last
    for name in columns.dtypes if kept is None else ():
        if name in folder.dtypes:  # a declared dtype that does not fit is a fault of the file
            columns.typed(name)
    require_whole(rows, last, folder, scan)
    return columns


def _refuse_long_rows(stream: BinaryIO, folder: Folder, scan: Scan) -> None:
    """Raise the SourceError of `read_csv`: one of two readers, whose chunks begin at other rows, comes upon the row."""
    faults: list[SourceError] = []
    for first in (disk_frame.ROWS_AT_ONCE, disk_frame.ROWS_AT_ONCE // 2 + 1):
        try:
            for _ in parse_chunks(stream, folder, scan, first, **AS_TEXT):
                pass
        except SourceError as problem:
            faults.append(problem)
    if faults:
        raise min(faults, key=_line_of)


def _line_of(fault: SourceError) -> float:
    line = _IN_LINE.search(str(fault))
    if line is None:  # the first row is too long, or the file ends within quotes
        return 0 if "more fields than the header" in str(fault) else float("inf")
    return int(line.group(1))
