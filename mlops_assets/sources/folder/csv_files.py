"""Reads a CSV file, plain or gzipped, after one pass that bounds its size, rows and columns and proves its encoding."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO

from mlops_assets.errors import SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources import Folder, Limits
from mlops_assets.sources.folder.csv_records import LONGEST, RecordCounter

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
class _Scan:
    """What one pass over the text showed: the columns, and how to parse the rows.

    `delimiter` is the one that a first line `sep=;` names, as Excel writes it, else the declared one; `skipped` is 1
    where there is such a line. `tail` is the last line where no newline ends it, else empty.
    """

    header: list[str]
    delimiter: str
    skipped: int
    tail: str


def read_csv(stream: BinaryIO, folder: Folder) -> pd.DataFrame:
    """Return all rows of the file; SourceError says what is wrong with it and where."""
    scan = _scan(stream, folder)
    return _checked(_parse(stream, folder, scan), folder, scan)


def read_csv_column(stream: BinaryIO, folder: Folder, column: str) -> pd.Series:
    """Return one column of the file as text, of shape (rows,)."""
    scan = _scan(stream, folder)
    require_column(scan.header, column)
    return _parse(stream, folder, scan, usecols=[column], dtype=str)[column]


def read_csv_text(stream: BinaryIO, folder: Folder) -> pd.DataFrame:
    """Return all rows of the file, each value as the text that stands there."""
    scan = _scan(stream, folder)
    return _checked(_parse(stream, folder, scan, dtype=str, na_values=[], keep_default_na=False), folder, scan)


def infer_types(text: pd.DataFrame, folder: Folder) -> pd.DataFrame:
    """Return the same rows as if they alone stood in a file: what other rows hold does not change a type."""
    written = text.to_csv(index=False, sep=folder.delimiter, lineterminator="\n").encode(folder.encoding)
    return _parse(io.BytesIO(written), folder, _Scan([], folder.delimiter, 0, ""))


def require_column(columns: Iterable[str], column: str) -> None:
    """Raise SourceError unless the column is there."""
    if column not in columns:
        names = f"{list(columns)[:8]!r:.200}"
        raise SourceError(f"has no column {column!r:.80}; found {names}. Correct the header, or the name declared")


def _scan(stream: BinaryIO, folder: Folder) -> _Scan:
    """Check in one pass, in chunks: encoding, NUL bytes, unpacked size, number of rows and columns."""
    texts = _decoded(_unpacked(stream, folder), folder.encoding)
    first = next(texts)
    separator = _SEPARATOR.match(first)
    delimiter = separator.group(1) if separator else folder.delimiter
    counter, head, tail = RecordCounter(delimiter), "", ""
    for text in chain([first], texts):
        head += text[: LONGEST - len(head)]
        counter.take(text)
        if counter.ended > folder.limits.max_rows + 1:
            raise _too_many_rows(folder.limits)
        tail = (tail + text).rpartition("\n")[2][-LONGEST:]
    header = _header(head.removeprefix(separator.group()) if separator else head, delimiter)
    folder.limits.check(0, len(header), "Split the file")
    return _Scan(header, delimiter, int(separator is not None), tail.strip("\r"))


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


def _header(head: str, delimiter: str) -> list[str]:
    lines = [line for line in head.splitlines()[:50] if line.strip()]
    if not lines:
        raise SourceError("holds blank lines only; expected a header and rows. Replace the file")
    header = _first_record(head.lstrip("\r\n"), delimiter)
    if len(header) == 1:
        for other, name in _OTHER_DELIMITERS.items():
            counts = {len(_first_record(line, other)) for line in lines[:2]}
            if other != delimiter and len(counts) == 1 and counts != {1}:
                raise SourceError(
                    f"has one column when cut at {delimiter!r}, {counts.pop()} when cut at {other!r} ({name}). "
                    f"Declare delimiter={other!r}, or write the file with {delimiter!r}"
                )
    _refuse_title(lines[:3], header, delimiter)
    refuse_repeated(filter(None, header))
    return header


def _refuse_title(lines: list[str], header: list[str], declared: str) -> None:
    """Raise SourceError where a title stands above the header: one cell and perhaps blank ones, then a line of names.

    Blank cells of a header alone do not tell: an index that was written with the rows has an empty name.
    """
    names = [cell for cell in header if cell.strip()]
    if len(lines) < 3 or (len(header) > 1 and len(header) - len(names) <= max(1, len(names))):
        return
    for delimiter in (declared, *(other for other in _OTHER_DELIMITERS if len(header) == 1)):
        first, second, third = (_first_record(line, delimiter) for line in lines)
        wide = len(second) == len(third) > 1 and len(first) in (1, len(second))
        if wide and all(cell.strip() and not _is_number(cell) for cell in second):
            title = " ".join(names)[:60]
            more = "" if delimiter == declared else f", and declare delimiter={delimiter!r}"
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


def refuse_repeated(columns: Iterable[str]) -> None:
    """Raise SourceError when two columns bear one name."""
    repeated = sorted(name for name, count in Counter(columns).items() if count > 1)
    if repeated:
        raise SourceError(f"names a column twice: {repeated[0]!r:.80}; expected each name once. Correct the header")


def _first_record(text: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(text, newline=None), delimiter=delimiter), [])
    except csv.Error as problem:
        raise SourceError(f"has a header that cannot be parsed ({problem!s:.80}). Correct the file") from None


def _parse(stream: BinaryIO, folder: Folder, scan: _Scan, **options: Any) -> pd.DataFrame:
    stream.seek(0)
    chosen: dict[str, Any] = {
        "na_values": [*folder.na_values, *([] if folder.keep_default_na else [""])],
        "keep_default_na": folder.keep_default_na,
        "dtype": folder.dtypes,
        **options,
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: pd.DataFrame = pd.read_csv(
                stream,
                sep=scan.delimiter,
                skiprows=scan.skipped,
                encoding=folder.encoding,
                decimal=folder.decimal,
                thousands=folder.thousands,
                index_col=False,
                low_memory=False,
                nrows=folder.limits.max_rows + 1,
                engine="c",
                **chosen,
            )
            return frame
    except pd.errors.ParserWarning:
        raise SourceError(
            "has rows with more fields than the header; expected the same number. Correct the file, remove a title "
            f"above the header, or quote values that hold {scan.delimiter!r}"
        ) from None
    except (ValueError, OverflowError, TypeError, EOFError, zlib.error, csv.Error) as problem:
        text = " ".join(str(problem).split()).removeprefix("Error tokenizing data. C error: ")
        raise SourceError(f"cannot be parsed ({text:.160}). Correct the file, or what is declared of it") from None


def _checked(frame: pd.DataFrame, folder: Folder, scan: _Scan) -> pd.DataFrame:
    if len(frame) > folder.limits.max_rows:
        raise _too_many_rows(folder.limits)
    if scan.tail and len(frame):
        last: Any = frame.iloc[-1, -1]
        fields = len(_first_record(scan.tail, scan.delimiter))
        if fields < len(scan.header) and (pd.isna(last) or last == ""):
            raise SourceError(
                f"is cut in mid-line: the last line has {fields} of {len(scan.header)} fields and no newline. "
                "Copy the file again"
            )
    return frame


def _too_many_rows(limits: Limits) -> SourceError:
    most = f"{limits.max_rows:,}"
    return SourceError(f"has more than {most} rows; expected at most {most}. Split the file, or raise limits.max_rows")
