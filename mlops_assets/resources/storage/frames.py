"""Frames in Parquet files: whole, by column, by row, or in chunks that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import IO, Any

from mlops_assets.errors import MlopsAssetsError, StorageError
from mlops_assets.file_systems import cause, is_local, is_of_store
from mlops_assets.lazy import np, pa, pd
from mlops_assets.resources.storage.files import asked, opened, timed
from mlops_assets.text import listed

_COLUMNS_AT_ONCE = 50
_MARK = b"PAR1"
_SHORTEST = 12
_AT_ONCE = 4_000_000
"""Bytes up to which a file of an object store is fetched by one request, whichever columns are asked for."""


def is_whole(place: str) -> bool:
    """Return whether a file is there and ends as Parquet does: a truncated file may be written again."""
    try:
        with opened(place) as file:
            size = file.size()
            end = asked(lambda: file.read_at(len(_MARK), size - len(_MARK)), place, "read") if size > _SHORTEST else b""
            return bool(end == _MARK)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return False  # writing says what is wrong


def writer_of(frame: pd.DataFrame, place: str) -> Callable[[IO[bytes]], object]:
    """Return a function that writes a frame to an open file; raise if Parquet cannot hold the frame."""
    table = _table(frame, place)
    return lambda file: pa.parquet.write_table(table, file)


def chunk_writer(
    chunks: Iterable[pd.DataFrame], place: str, like: pd.DataFrame | None = None
) -> Callable[[IO[bytes]], object]:
    """Return a function that writes chunks one after another, with the columns and types of the first, or of `like`."""

    def write(file: IO[bytes]) -> None:
        writer, schema = None, None if like is None else _table(like, place).schema
        try:
            for number, chunk in enumerate(chunks, 1):
                table = _table(chunk, place) if schema is None else _like(schema, chunk, place, number)
                schema = table.schema
                writer = writer or pa.parquet.ParquetWriter(file, schema)
                writer.write_table(table)
            if writer is None:
                raise MlopsAssetsError(f"{place} cannot be written: expected at least one chunk of rows, got none")
        finally:
            if writer is not None:
                writer.close()

    return write


def read(place: str, columns: Sequence[str] | None, rows: np.ndarray | None) -> pd.DataFrame:
    """Return a frame, or its columns and rows.

    Raise `FileNotFoundError` if there is no such file, `MlopsAssetsError` if it is damaged or lacks a column.
    """
    names = None if columns is None else list(columns)
    with _parquet(place, names) as (file, size):
        frame = timed(lambda: _read(file, names, rows), place, "read", size)
    return frame if names is None else frame[names]


def read_chunks(place: str, columns: Sequence[str] | None, rows_at_once: int) -> Iterator[pd.DataFrame]:
    """Yield a frame in order, at most `rows_at_once` rows at a time, newly numbered in each chunk.

    Each chunk has the types that the whole frame would have; its categories are those of its part of the file. An
    empty frame is one chunk without rows.
    """
    names = None if columns is None else list(columns)
    with _parquet(place, names) as (file, size):
        gaps, count = _columns_with_gaps(file.metadata), 0
        for batch in _batches(file, place, names, rows_at_once, size):
            count += batch.num_rows
            yield _typed(pa.Table.from_batches([batch]), gaps, names)
        if not count:
            yield _typed(file.read(columns=names), gaps, names)


@dataclass(frozen=True)
class FrameSize:
    """Rows, names of columns, and the MB that a frame takes in memory, at least, by the footer of its file."""

    rows: int
    columns: tuple[str, ...]
    mb: float


@lru_cache(maxsize=10_000)
def size_of(place: str) -> FrameSize:
    """Return the size of a frame, which never changes; raise as `read`."""
    with _parquet(place, None) as (file, _):
        footer = file.metadata
        groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
        chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
        size = sum(max(chunk.total_uncompressed_size, 8 * chunk.num_values) for chunk in chunks)
        return FrameSize(footer.num_rows, tuple(file.schema_arrow.names), size / 1e6)


@contextmanager
def _parquet(place: str, names: list[str] | None) -> Iterator[tuple[pa.parquet.ParquetFile, int]]:
    """Open a Parquet file that has these columns; also give its size in bytes."""
    try:
        with opened(place) as source:
            size = source.size()
            if not is_local(place) and size <= _AT_ONCE:
                source = pa.BufferReader(timed(source.read, place, "read", size))
            # Columns of an object store are fetched in few large requests; of a disk, as they are needed.
            file = timed(lambda: pa.parquet.ParquetFile(source, pre_buffer=not is_local(place)), place, "read", size)
            missing = sorted(set(names or ()) - set(file.schema_arrow.names))
            if missing:
                raise MlopsAssetsError(f"{place} has no column {missing}: it has {file.schema_arrow.names[:50]}")
            yield file, size
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        if not is_local(place) and is_of_store(error):
            raise StorageError(f"{place} cannot be read: {cause(error)}") from error
        raise MlopsAssetsError(f"{place} cannot be read ({str(error)[:200]}): materialise it again") from error


def _batches(
    file: pa.parquet.ParquetFile, place: str, names: list[str] | None, rows: int, size: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in batches; of an object store, one row group is in memory at a time."""
    every = range(file.metadata.num_row_groups)
    for groups in [every] if is_local(place) else [[group] for group in every]:
        batches = file.iter_batches(rows, row_groups=groups, columns=names)
        while (batch := timed(partial(next, batches, None), place, "read", size)) is not None:
            if batch.num_rows:
                yield batch


def _read(file: pa.parquet.ParquetFile, columns: list[str] | None, rows: np.ndarray | None) -> pd.DataFrame:
    if rows is None:
        whole: pd.DataFrame = file.read(columns=columns).to_pandas()
        return whole
    names = columns or file.schema_arrow.names
    parts = [names[first : first + _COLUMNS_AT_ONCE] for first in range(0, max(len(names), 1), _COLUMNS_AT_ONCE)]
    frame: pd.DataFrame = pd.concat([_take(file, part, rows).to_pandas() for part in parts], axis=1)
    return frame


def _take(file: pa.parquet.ParquetFile, columns: list[str], rows: np.ndarray) -> pa.Table:
    """Return the rows at positions `rows`, in that order, with one row group in memory at a time."""
    order = np.argsort(rows, kind="stable")
    ordered, taken, start = rows[order], [], 0
    for group in range(file.metadata.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        first, last = np.searchsorted(ordered, [start, end])
        if last > first:
            taken.append(file.read_row_group(group, columns=columns).take(ordered[first:last] - start))
        start = end
    if not taken:
        return file.schema_arrow.empty_table().select(columns)
    places = np.empty(len(rows), np.int64)
    places[order] = np.arange(len(rows))
    return pa.concat_tables(taken).take(places)


def _typed(table: pa.Table, gaps: frozenset[str], names: list[str] | None) -> pd.DataFrame:
    """Return a part of a frame with the types of the whole: pandas has no integers or booleans with gaps."""
    frame: pd.DataFrame = table.to_pandas()
    with_gaps = {
        name: "float64" if dtype.kind in "iu" else object
        for name, dtype in frame.dtypes.items()
        if name in gaps and isinstance(dtype, np.dtype) and dtype.kind in "iub"
    }
    frame = frame.astype(with_gaps)
    return frame if names is None else frame[names]


def _columns_with_gaps(metadata: Any) -> frozenset[str]:
    """Return the columns in which a value is missing, by the statistics of the file."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    return frozenset(
        chunk.path_in_schema
        for chunk in chunks
        if chunk.statistics is not None and chunk.statistics.has_null_count and chunk.statistics.null_count
    )


def _table(frame: pd.DataFrame, place: str) -> pa.Table:
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        mixed = {name: kinds for name, kinds in _types_of_objects(frame).items() if len(kinds) > 1}
        fault = f"columns of mixed types {str(mixed)[:300]}" if mixed else str(error)[:200]
        raise MlopsAssetsError(
            f"{place} cannot be written as parquet: {fault}. Give each column one name and one type"
        ) from error


def _like(schema: pa.Schema, chunk: pd.DataFrame, place: str, number: int) -> pa.Table:
    """Return a later chunk as a table of the first chunk's schema."""
    names, expected = [str(name) for name in chunk.columns], schema.names
    table = _table(chunk, place)
    fault = f"columns {listed(names)}, expected {listed(expected)}" if sorted(names) != sorted(expected) else ""
    if not fault:
        table = table.select(expected)
        unlike = [field for field in table.schema if not _fits(field.type, schema.field(field.name).type)]
        fault = ", ".join(
            f"{field.name!r} is {field.type}, expected {schema.field(field.name).type}" for field in unlike
        )
    try:
        if not fault:
            return table.cast(schema)  # with the first chunk's metadata
    except pa.ArrowException as error:  # such as a fraction in a column of integers
        fault = str(error)[:200]
    raise MlopsAssetsError(
        f"{place} cannot be written: chunk {number} does not have the columns and types of the first chunk: {fault}. "
        "Bring all chunks to the same types"
    )


def _fits(kind: pa.DataType, expected: pa.DataType) -> bool:
    """Return whether values of a type may be converted to another: a text is not a number though it may look so."""
    return kind == expected or pa.types.is_null(kind) or _family(kind) == _family(expected)


def _family(kind: pa.DataType) -> str:
    types = pa.types
    if types.is_integer(kind) or types.is_floating(kind):
        return "number"
    if types.is_string(kind) or types.is_large_string(kind):
        return "text"
    return f"time in {kind.tz}" if types.is_timestamp(kind) else str(kind)


def _types_of_objects(frame: pd.DataFrame) -> dict[str, list[str]]:
    objects = [(str(name)[:80], column.dropna()) for name, column in frame.items() if column.dtype == object]
    return {name: sorted({type(value).__name__ for value in column}) for name, column in objects}
