"""Reads a CSV file, plain or gzipped, after one pass that bounds its size, rows and columns and proves its encoding."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from mlops_assets.errors import SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources.folder.csv_records import LONGEST, Records
from mlops_assets.sources.folder.opening import Format

_CHUNK = 1 << 20
_OTHER_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_SEPARATOR = re.compile(r'"?sep=([,;|\t])"?\r?\n', re.IGNORECASE)
_MAGIC = {
    b"PAR1": "a parquet file",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip file",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}


@dataclass(frozen=True)
class Scan:
    """What one pass over the text showed. `tail` is the last line where no newline ends it, else empty.

    `delimiter` is the one that a first line `sep=;` names, as Excel writes it; None where there is no such line.
    """

    header: list[str]
    tail: str
    delimiter: str | None = None

    def format(self, fmt: Format) -> Format:
        """Return the format with the file's own delimiter."""
        return fmt if self.delimiter is None else replace(fmt, delimiter=self.delimiter)


def read_csv(stream: BinaryIO, zipped: bool, fmt: Format) -> pd.DataFrame:
    """Return all rows of the file; SourceError says what is wrong with it and where."""
    scan = scan_csv(stream, zipped, fmt)
    return _checked(_parse(stream, zipped, fmt, scan), scan, scan.format(fmt))


def read_csv_column(stream: BinaryIO, zipped: bool, fmt: Format, column: str) -> pd.Series:
    """Return one column of the file as text, of shape (rows,)."""
    scan = scan_csv(stream, zipped, fmt)
    require_column(scan.header, column)
    return _parse(stream, zipped, fmt, scan, usecols=[column], dtype=str)[column]


def read_csv_text(stream: BinaryIO, zipped: bool, fmt: Format) -> pd.DataFrame:
    """Return all rows of the file, each value as the text that stands there."""
    scan = scan_csv(stream, zipped, fmt)
    text = _parse(stream, zipped, fmt, scan, dtype=str, na_values=[], keep_default_na=False)
    return _checked(text, scan, scan.format(fmt))


def infer_types(text: pd.DataFrame, fmt: Format) -> pd.DataFrame:
    """Return the same rows as if they alone stood in a file: what other rows hold does not change a type."""
    buffer = io.BytesIO(text.to_csv(index=False, sep=fmt.delimiter, lineterminator="\n").encode(fmt.encoding))
    return _parse(buffer, False, fmt, None)


def require_column(columns: Sequence[str], column: str) -> None:
    """Raise SourceError unless the column is there."""
    if column not in columns:
        there = f"{list(columns)[:8]!r:.200}"
        raise SourceError(f"has no column {column!r:.80}; found {there}. Correct the header, or the name declared")


def scan_csv(stream: BinaryIO, zipped: bool, fmt: Format) -> Scan:
    """Check in one pass, in chunks: encoding, NUL bytes, unpacked size, number of rows and columns."""
    records, head, tail, own = Records(fmt.delimiter), "", "", None
    for text in _decoded(_unpacked(stream, zipped, fmt), fmt):
        if not head and (first := _SEPARATOR.match(text)):
            own = first.group(1)
            records = Records(own)
        if len(head) < LONGEST:
            head += text[:LONGEST]
        records.take(text)
        if records.ended > fmt.limits.max_rows + 1:
            raise SourceError(_too_many("rows", fmt.limits.max_rows))
        tail = (tail + text).rpartition("\n")[2][-LONGEST:]
    fmt = fmt if own is None else replace(fmt, delimiter=own)
    header = _header(head if own is None else head.split("\n", 1)[-1], fmt)
    if len(header) > fmt.limits.max_columns:
        raise SourceError(_too_many("columns", fmt.limits.max_columns, len(header)))
    return Scan(header, tail.strip("\r"), own)


def _unpacked(stream: BinaryIO, zipped: bool, fmt: Format) -> Iterator[bytes]:
    stream.seek(0)
    source: Any = gzip.GzipFile(fileobj=stream) if zipped else stream
    total = 0
    try:
        while chunk := source.read(_CHUNK):
            if total == 0 and not fmt.encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32")):
                _refuse_magic(chunk)
            total += len(chunk)
            if zipped and total > fmt.limits.max_unpacked_mb * 1e6:
                raise SourceError(
                    f"unpacks to more than {fmt.limits.max_unpacked_mb:,.1f} MB; expected at most that. Split the "
                    "file, or raise limits.max_unpacked_mb"
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


def _decoded(chunks: Iterator[bytes], fmt: Format) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder(fmt.encoding)()
    position, line = 0, 1
    for chunk in _with_end(chunks):
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as problem:
            whole: bytes = problem.object
            offset = position - (len(whole) - len(chunk)) + problem.start
            line += whole[: problem.start].count(b"\n")
            found = f"0x{whole[problem.start]:02x}"
            raise SourceError(
                f"is not {fmt.encoding} (byte {found} at offset {offset:,}, line {line:,}); expected that encoding. "
                f"Save it as UTF-8, or declare its encoding, such as encoding='cp1252'"
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


def _with_end(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from chunks
    yield b""


def _header(head: str, fmt: Format) -> list[str]:
    lines = [line for line in head.splitlines()[:50] if line.strip()]
    if not lines:
        raise SourceError("holds blank lines only; expected a header and rows. Replace the file")
    if len(lines[0]) >= LONGEST:
        raise SourceError("has a first line of more than 1 MB; expected a header. Replace the file")
    header = _fields(head.lstrip("\r\n"), fmt.delimiter)
    if len(header) == 1:
        for other, name in _OTHER_DELIMITERS.items():
            counts = {len(_fields(line, other)) for line in lines[:2]}
            if other != fmt.delimiter and len(counts) == 1 and counts != {1}:
                raise SourceError(
                    f"has one column when cut at {fmt.delimiter!r}, {counts.pop()} when cut at {other!r} ({name}). "
                    f"Declare delimiter={other!r}, or write the file with {fmt.delimiter!r}"
                )
    _refuse_title(head.lstrip("\r\n"), header, fmt)
    refuse_repeated([name for name in header if name])
    return header


def _refuse_title(head: str, header: list[str], fmt: Format) -> None:
    """Raise SourceError where a title stands above the header: one cell and perhaps blank ones, then a line of names.

    Blank cells of a header alone do not tell: an index that was written with the rows has an empty name.
    """
    lines = [line for line in head.splitlines()[:10] if line.strip()]
    names = [cell for cell in header if cell.strip()]
    if len(lines) < 3 or (len(header) > 1 and len(header) - len(names) <= max(1, len(names))):
        return
    for delimiter in (fmt.delimiter, *(other for other in _OTHER_DELIMITERS if len(header) == 1)):
        first, second, third = (_fields(line, delimiter) for line in lines[:3])
        wide = len(second) == len(third) > 1 and len(first) in (1, len(second))
        if wide and all(cell.strip() and not _is_number(cell) for cell in second):
            title = " ".join(names)[:60]
            more = "" if delimiter == fmt.delimiter else f", and declare delimiter={delimiter!r}"
            raise SourceError(
                f"has a title as its first line ({title!r}), where the names of columns are expected; they seem to "
                f"stand below it ({second[0][:40]!r}, {second[1][:40]!r}, ..). Remove the lines above them{more}"
            )


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return False
    return True


def refuse_repeated(columns: Sequence[str]) -> None:
    """Raise SourceError when two columns bear one name."""
    repeated = (
        sorted({name for name in columns if list(columns).count(name) > 1}) if len({*columns}) < len(columns) else []
    )
    if repeated:
        raise SourceError(f"names a column twice: {repeated[0]!r:.80}; expected each name once. Correct the header")


def _fields(text: str, delimiter: str) -> list[str]:
    """Return the fields of the first record."""
    try:
        return next(csv.reader(io.StringIO(text, newline=None), delimiter=delimiter), [])
    except csv.Error as problem:
        raise SourceError(f"has a header that cannot be parsed ({problem!s:.80}). Correct the file") from None


def _parse(stream: BinaryIO, zipped: bool, fmt: Format, scan: Scan | None, **options: Any) -> pd.DataFrame:
    stream.seek(0)
    fmt = fmt if scan is None else scan.format(fmt)
    source: Any = gzip.GzipFile(fileobj=stream) if zipped else stream
    missing = [*fmt.na_values, *([] if fmt.keep_default_na else [""])]
    chosen: dict[str, Any] = {
        "na_values": missing,
        "keep_default_na": fmt.keep_default_na,
        "dtype": dict(fmt.dtypes),
        "skiprows": 0 if scan is None or scan.delimiter is None else 1,
        **options,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(
                source,
                sep=fmt.delimiter,
                encoding=fmt.encoding,
                decimal=fmt.decimal,
                thousands=fmt.thousands,
                index_col=False,
                low_memory=False,
                nrows=fmt.limits.max_rows + 1,
                engine="c",
                **chosen,
            )
            return frame
    except pd.errors.ParserWarning:
        raise SourceError(
            "has rows with more fields than the header; expected the same number. Correct the file, remove a title "
            "above the header, or quote "
            f"values that hold {fmt.delimiter!r}"
        ) from None
    except (ValueError, OverflowError, TypeError, EOFError, zlib.error, csv.Error) as problem:
        raise SourceError(
            f"cannot be parsed ({_plain(problem)}). Correct the file, or what is declared of it"
        ) from None


def _plain(problem: Exception) -> str:
    text = " ".join(str(problem).split()).removeprefix("Error tokenizing data. C error: ")
    return f"{text:.160}"


def _checked(frame: pd.DataFrame, scan: Scan, fmt: Format) -> pd.DataFrame:
    if len(frame) > fmt.limits.max_rows:
        raise SourceError(_too_many("rows", fmt.limits.max_rows))
    if scan.tail and len(frame):
        last: Any = frame.iloc[-1, -1]
        fields = len(_fields(scan.tail, fmt.delimiter))
        if fields < len(scan.header) and (pd.isna(last) or last == ""):
            raise SourceError(
                f"is cut in mid-line: the last line has {fields} of {len(scan.header)} fields and no newline. "
                "Copy the file again"
            )
    return frame


def _too_many(what: str, most: int, found: int | None = None) -> str:
    count = f"{found:,}" if found is not None else f"more than {most:,}"
    return f"has {count} {what}; expected at most {most:,}. Split the file, or raise limits.max_{what}"
