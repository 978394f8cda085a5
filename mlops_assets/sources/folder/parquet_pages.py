"""Sizes of the pages of a parquet file as the pages themselves have them; its footer may say anything.

A page is unpacked into as many bytes as its own header says, so their sum bounds the memory that reading takes. Headers
are in Thrift's compact protocol: https://parquet.apache.org/docs/file-format/data-pages/
"""

import os
from typing import Any, BinaryIO

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = {4, 5, 6}
_UNPACKED, _PACKED = 2, 3  # the numbers of these fields of a page's header


def unpacked_size(stream: BinaryIO, footer: Any, most: float) -> int:
    """Return the bytes that the pages of all columns unpack to; counting ends where there are more than `most`.

    Raise `ValueError` where a header is damaged.
    """
    total = 0
    for group in range(footer.num_row_groups):
        for number in range(footer.num_columns):
            column = footer.row_group(group).column(number)
            start = column.data_page_offset
            if column.has_dictionary_page and 0 < (column.dictionary_page_offset or 0) < start:
                start = column.dictionary_page_offset
            total += _of_column(stream, start, start + column.total_compressed_size, most - total)
            if total > most:
                return total
    return total


def _of_column(stream: BinaryIO, start: int, end: int, most: float) -> int:
    total, stop = 0, min(end, stream.seek(0, os.SEEK_END))
    while start < stop and total <= most:
        stream.seek(start)
        header = _fields(stream, depth=0)
        unpacked, packed = header.get(_UNPACKED, -1), header.get(_PACKED, -1)
        if unpacked < 0 or packed < 0:
            raise ValueError(f"the page at byte {start:,} has no size")
        total += unpacked
        start = stream.tell() + packed
    return total


def _fields(stream: BinaryIO, depth: int) -> dict[int, int]:
    """Return the integers of a struct by the number of their field; what else it holds is skipped."""
    integers: dict[int, int] = {}
    number = 0
    while head := _byte(stream):
        kind = head & 0x0F
        number = number + (head >> 4) if head >> 4 else _integer(stream)
        if kind in _INTEGERS:
            integers[number] = _integer(stream)
        else:
            _skip(stream, kind, depth)
    return integers


def _skip(stream: BinaryIO, kind: int, depth: int) -> None:
    if kind in (_TRUE, _FALSE):
        return
    if kind == _BYTE:
        _byte(stream)
    elif kind in _INTEGERS:
        _integer(stream)
    elif kind == _DOUBLE:
        stream.seek(8, os.SEEK_CUR)
    elif kind == _BINARY:
        stream.seek(_varint(stream), os.SEEK_CUR)
    elif kind == _STRUCT and depth < 5:
        _fields(stream, depth + 1)
    elif kind in (_LIST, _SET) and depth < 5:
        head = _byte(stream)
        for _ in range(head >> 4 if head >> 4 < 15 else _varint(stream)):
            _byte(stream) if head & 0x0F in (_TRUE, _FALSE) else _skip(stream, head & 0x0F, depth + 1)
    else:
        raise ValueError(f"the header of a page holds a field of kind {kind}")


def _byte(stream: BinaryIO) -> int:
    byte = stream.read(1)
    if not byte:
        raise ValueError("the header of a page is cut")
    return byte[0]


def _varint(stream: BinaryIO) -> int:
    value = shift = 0
    while shift < 64:
        byte = _byte(stream)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value
        shift += 7
    raise ValueError("the header of a page holds a number that never ends")


def _integer(stream: BinaryIO) -> int:
    value = _varint(stream)
    return (value >> 1) ^ -(value & 1)
