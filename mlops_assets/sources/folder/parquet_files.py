"""Reads a parquet file after its footer and its decoded size have been checked against the limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from mlops_assets.errors import SourceError
from mlops_assets.lazy import pa, pd
from mlops_assets.sources import Folder, Limits
from mlops_assets.sources.folder.csv_files import require_column
from mlops_assets.sources.folder.csv_header import refuse_repeated
from mlops_assets.sources.folder.parquet_pages import unpacked_size


def read_parquet(stream: BinaryIO, folder: Folder) -> pd.DataFrame:
    """Return all rows of the file; SourceError says what is wrong with it."""
    return to_pandas(read_table(stream, folder), folder)


def read_parquet_column(stream: BinaryIO, folder: Folder, column: str) -> pd.Series:
    """Return one column of the file, of shape (rows,)."""
    return to_pandas(read_table(stream, folder, [column]), folder)[column]


def unpacked_mb(stream: BinaryIO) -> float:
    """Return how many MB the file unpacks to in memory, by its footer; 0 where it has none that can be read."""
    try:
        return _footer_size(pa.parquet.ParquetFile(stream).metadata) / 1e6
    except (pa.ArrowException, OSError, ValueError):
        return 0.0
    finally:
        stream.seek(0)


class OpenedParquet:
    """A file within the limits whose columns are read one by one; `names` and `rows` as its footer has them."""

    def __init__(self, stream: BinaryIO, folder: Folder) -> None:
        with _whole_file():
            self._file, self.names = _opened(stream, folder)
        self.rows = int(self._file.metadata.num_rows)
        self._limits, self._sizes = folder.limits, dict.fromkeys(self.names, 0.0)

    def read(self, column: str) -> pa.Table:
        """Return a column as `read_table`; all columns that were read must unpack to no more than the limit."""
        others = sum(size for name, size in self._sizes.items() if name != column)
        with _whole_file():
            table, self._sizes[column] = _read(self._file, [column], self._limits, others)
        return table


def read_table(stream: BinaryIO, folder: Folder, columns: list[str] | None = None) -> pa.Table:
    """Return the rows as an Arrow table with text as plain text, whatever encoding the file uses for it.

    A dictionary of a few long strings unpacks to rows x length: text is read as a dictionary first, and its decoded
    size counted, before it is unpacked.
    """
    with _whole_file():
        file, names = _opened(stream, folder)
        for column in columns or []:
            require_column(names, column)
        return _read(file, columns or names, folder.limits)[0]


@contextmanager
def _whole_file() -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError) as problem:
        text = " ".join(str(problem).split())
        raise SourceError(
            f"is not a whole parquet file ({text:.120}); expected one. It may have been cut: copy it again"
        ) from None


def _opened(stream: BinaryIO, folder: Folder) -> tuple[pa.parquet.ParquetFile, list[str]]:
    """Return the file and the names of its columns, once both are within the limits."""
    limits = folder.limits
    schema = pa.parquet.ParquetFile(stream).schema_arrow
    texts = [field.name for field in schema if _is_text(field.type)]
    stream.seek(0)
    file = pa.parquet.ParquetFile(stream, read_dictionary=texts)
    _refuse_footer(file.metadata, limits)
    _refuse_unpacked(unpacked_size(stream, file.metadata, limits.max_unpacked_mb * 1e6), limits)
    names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
    refuse_repeated(names)
    return file, names


def _read(
    file: pa.parquet.ParquetFile, columns: list[str], limits: Limits, unpacked: float = 0.0
) -> tuple[pa.Table, float]:
    """Return these columns and their unpacked size, which together with `unpacked` must be within the limits."""
    table = file.read(columns=columns, use_threads=False)
    if table.num_rows != file.metadata.num_rows:
        raise pa.ArrowInvalid(f"{table.num_rows} rows, the footer says {file.metadata.num_rows}")
    return _with_plain_text(table, limits, unpacked)


def to_pandas(table: pa.Table, folder: Folder) -> pd.DataFrame:
    """Return the table as a DataFrame without an index, in the declared dtypes."""
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    try:
        return frame.astype({name: dtype for name, dtype in folder.dtypes.items() if name in frame})
    except (ValueError, TypeError) as problem:
        raise SourceError(
            f"cannot be given the declared dtypes ({problem!s:.120}). Correct the file, or the dtypes"
        ) from None


def _refuse_footer(footer: Any, limits: Limits) -> None:
    """Refuse too many rows, columns or unpacked bytes: run-length encoding makes a constant column nearly free."""
    limits.check(footer.num_rows, footer.num_columns, "Its footer says so: split the file")
    _refuse_unpacked(_footer_size(footer), limits)


def _footer_size(footer: Any) -> float:
    chunks = [
        footer.row_group(group).column(column)
        for group in range(footer.num_row_groups)
        for column in range(footer.num_columns)
    ]
    return float(sum(max(chunk.total_uncompressed_size, 8 * chunk.num_values) for chunk in chunks))


def _refuse_unpacked(size: float, limits: Limits) -> None:
    if size > limits.max_unpacked_mb * 1e6:
        raise SourceError(
            f"unpacks to {size / 1e6:,.1f} MB; expected at most {limits.max_unpacked_mb:,.1f} MB. Split the file, or "
            "raise limits.max_unpacked_mb"
        )


def _with_plain_text(table: pa.Table, limits: Limits, before: float) -> tuple[pa.Table, float]:
    size = float(table.nbytes)
    for column in table.columns:
        if pa.types.is_dictionary(column.type) and _is_text(column.type.value_type):
            for chunk in column.chunks:
                lengths = pa.compute.take(pa.compute.binary_length(chunk.dictionary), chunk.indices)
                size += pa.compute.sum(pa.compute.cast(lengths, pa.int64())).as_py() or 0
    _refuse_unpacked(before + size, limits)
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(field.type.value_type))
    return table, size


def _is_text(kind: Any) -> bool:
    return kind in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary())
