"""Reads a parquet file after its footer and its decoded size have been checked against the limits."""

from __future__ import annotations

from typing import Any, BinaryIO

from mlops_assets.errors import SourceError
from mlops_assets.lazy import pa, pd
from mlops_assets.sources.folder.csv_files import refuse_repeated, require_column
from mlops_assets.sources.folder.opening import Format
from mlops_assets.sources.folder.parquet_pages import unpacked_size


def read_parquet(stream: BinaryIO, fmt: Format) -> pd.DataFrame:
    """Return all rows of the file; SourceError says what is wrong with it."""
    return to_pandas(read_table(stream, fmt), fmt)


def read_parquet_column(stream: BinaryIO, fmt: Format, column: str) -> pd.Series:
    """Return one column of the file, of shape (rows,)."""
    return to_pandas(read_table(stream, fmt, [column]), fmt)[column]


def read_table(stream: BinaryIO, fmt: Format, columns: list[str] | None = None) -> pa.Table:
    """Return the rows as an Arrow table with text as plain text, whatever encoding the file uses for it.

    A dictionary of a few long strings unpacks to rows x length: text is read as a dictionary first, and its decoded
    size counted, before it is unpacked.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.ParquetFile(stream).schema_arrow
        texts = [field.name for field in schema if _is_text(field.type)]
        stream.seek(0)
        file = pq.ParquetFile(stream, read_dictionary=texts)
        _refuse_footer(file, fmt)
        _refuse_unpacked(unpacked_size(stream, file.metadata, fmt.limits.max_unpacked_mb * 1e6), fmt)
        names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]
        refuse_repeated(names)
        for column in columns or []:
            require_column(names, column)
        table = file.read(columns=columns or names, use_threads=False)
        if table.num_rows != file.metadata.num_rows:
            raise pa.ArrowInvalid(f"{table.num_rows} rows, the footer says {file.metadata.num_rows}")
        return _with_plain_text(table, fmt)
    except (pa.ArrowException, OSError, ValueError, KeyError) as problem:
        text = " ".join(str(problem).split())
        raise SourceError(
            f"is not a whole parquet file ({text:.120}); expected one. It may have been cut: copy it again"
        ) from None


def to_pandas(table: pa.Table, fmt: Format) -> pd.DataFrame:
    """Return the table as a DataFrame without an index, in the declared dtypes."""
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
    try:
        return frame.astype({name: dtype for name, dtype in fmt.dtypes if name in frame})
    except (ValueError, TypeError) as problem:
        raise SourceError(
            f"cannot be given the declared dtypes ({problem!s:.120}). Correct the file, or the dtypes"
        ) from None


def _refuse_footer(file: Any, fmt: Format) -> None:
    """Refuse too many rows, columns or unpacked bytes: run-length encoding makes a constant column nearly free."""
    footer = file.metadata
    for what, found, expected in fmt.limits.exceeded(footer.num_rows, footer.num_columns):
        raise SourceError(f"{found} by its footer; {expected}. Split the file, or raise limits.max_{what}")
    chunks = [
        footer.row_group(group).column(column)
        for group in range(footer.num_row_groups)
        for column in range(footer.num_columns)
    ]
    _refuse_unpacked(sum(max(c.total_uncompressed_size, 8 * c.num_values) for c in chunks), fmt)


def _refuse_unpacked(size: float, fmt: Format) -> None:
    if size > fmt.limits.max_unpacked_mb * 1e6:
        raise SourceError(
            f"unpacks to {size / 1e6:,.1f} MB; expected at most {fmt.limits.max_unpacked_mb:,.1f} MB. Split the file, "
            "or raise limits.max_unpacked_mb"
        )


def _with_plain_text(table: pa.Table, fmt: Format) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    total = float(table.nbytes)
    for column in table.columns:
        if pa.types.is_dictionary(column.type) and _is_text(column.type.value_type):
            for chunk in column.chunks:
                lengths = pc.take(pc.binary_length(chunk.dictionary), chunk.indices)
                total += pc.sum(pc.cast(lengths, pa.int64())).as_py() or 0
    _refuse_unpacked(total, fmt)
    for index, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(index, field.name, table.column(index).cast(field.type.value_type))
    return table


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )
