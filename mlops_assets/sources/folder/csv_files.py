"""Reads a CSV file, plain or gzipped, after one pass that bounds its size, rows and columns and proves its encoding."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

from mlops_assets import disk_frame
from mlops_assets.errors import SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources import Folder, Limits
from mlops_assets.sources.folder.csv_header import first_record, header_of
from mlops_assets.sources.folder.csv_records import LONGEST, RecordCounter

_CHUNK = 1 << 20
_SEPARATOR = re.compile(r'"?sep=([,;|\t])"?\r?\n', re.IGNORECASE)
_MAGIC = {
    b"PAR1": "a parquet file",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip file",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}


AS_TEXT: dict[str, Any] = {"dtype": str, "na_values": [], "keep_default_na": False}
"""Options of pandas by which each value is the text that stands there."""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """What one pass over the text showed: the columns, how to parse the rows, and what they take.

    `delimiter` is the one that a first line `sep=;` names, as Excel writes it, else the declared one; `skipped` is 1
    where there is such a line. `tail` is the last line where no newline ends it, else empty. `has_long_rows`: some row
    has more fields than the header. `by_chunk`: pandas reads some rows at a time as it reads all; where a carriage
    return ends a line, it does not.
    """

    header: list[str]
    delimiter: str
    skipped: int = 0
    tail: str = ""
    unpacked_mb: float = 0.0
    has_long_rows: bool = False
    by_chunk: bool = True


def read_csv(stream: BinaryIO, folder: Folder, scan: Scan | None = None) -> pd.DataFrame:
    """Return all rows of the file; SourceError says what is wrong with it and where."""
    scan = scan or scan_csv(stream, folder)
    return _checked(parse(stream, folder, scan), folder, scan)


def read_csv_column(stream: BinaryIO, folder: Folder, column: str) -> pd.Series:
    """Return one column of the file as text, of shape (rows,)."""
    scan = scan_csv(stream, folder)
    require_column(scan.header, column)
    chunks = parse_chunks(stream, folder, scan, usecols=[column], dtype=str)
    texts: pd.Series = pd.concat([chunk[column] for chunk in chunks], ignore_index=True)
    return texts


def read_csv_text(stream: BinaryIO, folder: Folder, scan: Scan | None = None) -> pd.DataFrame:
    """Return all rows of the file, each value as the text that stands there."""
    scan = scan or scan_csv(stream, folder)
    return _checked(parse(stream, folder, scan, **AS_TEXT), folder, scan)


def infer_types(text: pd.DataFrame, folder: Folder) -> pd.DataFrame:
    """Return the same rows as if they alone stood in a file: what other rows hold does not change a type."""
    written = text.to_csv(index=False, sep=folder.delimiter, lineterminator="\n").encode(folder.encoding)
    return parse(io.BytesIO(written), folder, Scan(header=[], delimiter=folder.delimiter))


def require_column(columns: Iterable[str], column: str) -> None:
    """Raise SourceError unless the column is there."""
    if column not in columns:
        names = f"{list(columns)[:8]!r:.200}"
        raise SourceError(f"has no column {column!r:.80}; found {names}. Correct the header, or the name declared")


def scan_csv(stream: BinaryIO, folder: Folder) -> Scan:
    """Check in one pass, in chunks: encoding, NUL bytes, unpacked size, number of rows and columns."""
    texts = _decoded(_unpacked(stream, folder), folder.encoding)
    first = next(texts)
    separator = _SEPARATOR.match(first)
    delimiter = separator.group(1) if separator else folder.delimiter
    counter, head, tail, size = RecordCounter(delimiter), "", "", 0
    for text in chain([first], texts):
        head += text[: LONGEST - len(head)]
        size += len(text)
        counter.take(text)
        if counter.ended > folder.limits.max_rows + 1:
            raise _too_many_rows(folder.limits)
        tail = (tail + text).rpartition("\n")[2][-LONGEST:]
    header = header_of(head.removeprefix(separator.group()) if separator else head, delimiter)
    folder.limits.check(0, len(header), "Split the file")
    return Scan(
        header=header,
        delimiter=delimiter,
        skipped=int(separator is not None),
        tail=tail.strip("\r"),
        unpacked_mb=max(size, 8 * counter.ended * len(header)) / 1e6,
        has_long_rows=counter.most_fields > len(header),
        by_chunk=not counter.lone_returns,
    )


def _unpacked(stream: BinaryIO, folder: Folder) -> Iterator[bytes]:
    most, zipped = folder.limits.max_unpacked_mb, isinstance(stream, gzip.GzipFile)
    total = 0
    try:
        while chunk := stream.read(_CHUNK):
            if total == 0 and not folder.encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32")):
                _refuse_magic(chunk)
            total += len(chunk)
            if zipped and total > most * 1e6:
                raise SourceError(
                    f"unpacks to more than {most:,.1f} MB; expected at most that. Split the file, or raise "
                    "limits.max_unpacked_mb"
                )
            yield chunk
    except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
        raise SourceError(
            f"is not a whole gzip file ({problem!s:.80}); expected one. Copy it again, or name it .csv if it is plain"
        ) from None
    if total == 0:
        raise SourceError("unpacks to nothing; expected a header and rows. Replace the file")


def _refuse_magic(chunk: bytes) -> None:
    for magic, kind in _MAGIC.items():
        if chunk.startswith(magic):
            raise SourceError(
                f"begins like {kind}; expected comma-separated text. Convert the file, or name and declare it as it is"
            )


def _decoded(chunks: Iterator[bytes], encoding: str) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(encoding)()
    position, line = 0, 1
    for chunk in chain(chunks, [b""]):
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as problem:
            whole: bytes = problem.object
            offset = position - (len(whole) - len(chunk)) + problem.start
            line += whole[: problem.start].count(b"\n")
            raise SourceError(
                f"is not {encoding} (byte 0x{whole[problem.start]:02x} at offset {offset:,}, line {line:,}); expected "
                "that encoding. Save it as UTF-8, or declare its encoding, such as encoding='cp1252'"
            ) from None
        if "\0" in text:
            at = line + text[: text.index("\0")].count("\n")
            raise SourceError(
                f"holds a NUL byte (line {at:,}); expected text. The file is damaged, binary or in UTF-16: "
                "replace it, or declare its encoding"
            )
        position += len(chunk)
        line += text.count("\n")
        yield text


def parse(stream: BinaryIO, folder: Folder, scan: Scan, **options: Any) -> pd.DataFrame:
    """Return the rows as pandas parses them with what is declared of the file; `options` come before."""
    with _refused(scan.delimiter):
        frame: pd.DataFrame = _reader(stream, folder, scan, options)
        return frame


def parse_chunks(
    stream: BinaryIO, folder: Folder, scan: Scan, first: int | None = None, **options: Any
) -> Iterator[pd.DataFrame]:
    """Yield the rows as `parse`, `ROWS_AT_ONCE` at a time, of which the first chunk may have fewer.

    What a column holds in a chunk decides on its type there, and a row that is too long is let through where a chunk
    begins with it.
    """
    if not scan.by_chunk:
        yield parse(stream, folder, scan, **options)
        return
    rows = disk_frame.ROWS_AT_ONCE
    with _refused(scan.delimiter):
        reader = _reader(stream, folder, scan, {**options, "chunksize": rows})
    with reader:
        while (chunk := _next_chunk(reader, first or rows, scan.delimiter)) is not None:
            first = None
            yield chunk


def _next_chunk(reader: Any, rows: int, delimiter: str) -> pd.DataFrame | None:
    with _refused(delimiter), suppress(StopIteration):
        chunk: pd.DataFrame = reader.get_chunk(rows)
        return chunk
    return None


def _reader(stream: BinaryIO, folder: Folder, scan: Scan, options: dict[str, Any]) -> Any:
    """Return a DataFrame, or what gives chunks of it where `options` have their size."""
    stream.seek(0)
    chosen: dict[str, Any] = {
        "na_values": [*folder.na_values, *([] if folder.keep_default_na else [""])],
        "keep_default_na": folder.keep_default_na,
        "dtype": folder.dtypes,
        "encoding": folder.encoding,
        **options,
    }
    return pd.read_csv(
        stream,
        sep=scan.delimiter,
        skiprows=scan.skipped,
        decimal=folder.decimal,
        thousands=folder.thousands,
        index_col=False,
        low_memory=False,
        nrows=folder.limits.max_rows + 1,
        engine="c",
        **chosen,
    )


@contextmanager
def _refused(delimiter: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except pd.errors.ParserWarning:
        raise SourceError(
            "has rows with more fields than the header; expected the same number. Correct the file, remove a title "
            f"above the header, or quote values that hold {delimiter!r}"
        ) from None
    except (ValueError, OverflowError, TypeError, EOFError, zlib.error, csv.Error) as problem:
        text = " ".join(str(problem).split()).removeprefix("Error tokenizing data. C error: ")
        raise SourceError(f"cannot be parsed ({text:.160}). Correct the file, or what is declared of it") from None


def _checked(frame: pd.DataFrame, folder: Folder, scan: Scan) -> pd.DataFrame:
    require_whole(len(frame), None if frame.empty else frame.iloc[-1, -1], folder, scan)
    return frame


def require_whole(rows: int, last: Any, folder: Folder, scan: Scan) -> None:
    """Raise SourceError for too many rows, or a last line that is cut; `last` is the last value of the last row."""
    if rows > folder.limits.max_rows:
        raise _too_many_rows(folder.limits)
    if scan.tail and rows:
        fields = len(first_record(scan.tail, scan.delimiter))
        if fields < len(scan.header) and (pd.isna(last) or last == ""):
            raise SourceError(
                f"is cut in mid-line: the last line has {fields} of {len(scan.header)} fields and no newline. "
                "Copy the file again"
            )


def _too_many_rows(limits: Limits) -> SourceError:
    most = f"{limits.max_rows:,}"
    return SourceError(f"has more than {most} rows; expected at most {most}. Split the file, or raise limits.max_rows")
