"""The header of a CSV file: the names of its columns, or what stands in their place."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable

from mlops_assets.errors import SourceError

_OTHER_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}


def header_of(head: str, delimiter: str) -> list[str]:
    """Return the names; SourceError where there are none, where they are cut elsewhere, or below a title."""
    lines = [line for line in head.splitlines()[:50] if line.strip()]
    if not lines:
        raise SourceError("holds blank lines only; expected a header and rows. Replace the file")
    header = first_record(head.lstrip("\r\n"), delimiter)
    if len(header) == 1:
        for other, name in _OTHER_DELIMITERS.items():
            counts = {len(first_record(line, other)) for line in lines[:2]}
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
        first, second, third = (first_record(line, delimiter) for line in lines)
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


def first_record(text: str, delimiter: str) -> list[str]:
    """Return the fields of the first record; SourceError where it cannot be parsed."""
    try:
        return next(csv.reader(io.StringIO(text, newline=None), delimiter=delimiter), [])
    except csv.Error as problem:
        raise SourceError(f"has a header that cannot be parsed ({problem!s:.80}). Correct the file") from None
