"""Opens a file of data only when it is what it should be: regular, inside its folder, neither empty nor too large."""

from __future__ import annotations

import gzip
import io
import math
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO

from mlops_assets.errors import SourceError
from mlops_assets.file_systems import is_local
from mlops_assets.sources import Folder, Limits
from mlops_assets.sources.folder.listing import SUFFIXES, File, fixed_root
from mlops_assets.sources.folder.local_listing import is_inside
from mlops_assets.sources.folder.object_copy import copied
from mlops_assets.sources.keys import SAFE

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a directory",
}


class SlowFileError(SourceError):
    """A file that takes longer to read than a look has."""


class _Bounded(io.BufferedReader):
    """A file of which no more is read once `seconds` are over, however little of it unpacks to however much."""

    def __init__(self, raw: io.RawIOBase, ends: float, seconds: float) -> None:
        super().__init__(raw)
        self._ends, self.is_late = ends, False
        self.slow = SlowFileError(f"takes longer than {seconds:.0f} s to be divided. Split the file")

    def read(self, size: int | None = -1, /) -> bytes:
        self._in_time()
        return super().read(size)

    def read1(self, size: int = -1, /) -> bytes:
        self._in_time()
        return super().read1(size)

    def readinto(self, buffer: Any, /) -> int:
        self._in_time()
        return super().readinto(buffer)

    def _in_time(self) -> None:
        self.is_late = time.monotonic() > self._ends
        if self.is_late:
            raise self.slow


@contextmanager
def open_file(folder: Folder, file: File, seconds: float = math.inf) -> Iterator[BinaryIO]:
    """Open the file, unzipped where it is gzip; SourceError with the reason where it must not be read.

    Pipes and devices are not opened at all. A link is followed only to a place in the folder. An object is read from a
    copy, SourceUnavailableError where its store does not give it. Once `seconds` are over a read raises SlowFileError,
    whatever a parser makes of that.
    """
    ends = time.monotonic() + seconds
    raw = _local(folder, file) if is_local(folder.path) else _object(folder, file, ends)
    with _Bounded(raw, ends, seconds) as stream:
        try:
            unzipped: Any = gzip.GzipFile(fileobj=stream) if file.path.endswith(".gz") else stream
            yield unzipped
        except SourceError:
            if stream.is_late:
                raise stream.slow from None
            raise


def _local(folder: Folder, file: File) -> io.RawIOBase:
    raw = _regular(file.path, fixed_root(folder.path)[0])
    try:
        status = os.fstat(raw.fileno())
        if not stat.S_ISREG(status.st_mode):  # replaced since it was looked at
            raise SourceError("is not a regular file; expected one. Remove it from the folder")
        refuse_size(status.st_size, folder.limits)
        _refuse_name(file)
    except SourceError:
        raw.close()
        raise
    return raw


def is_allowed(folder: Folder, file: File) -> bool:
    """Return whether what is listed of an object allows to read it."""
    try:
        _refuse_object(folder, file)
    except SourceError:
        return False
    return True


def _refuse_object(folder: Folder, file: File) -> None:
    if not file.regular:
        raise SourceError("is a directory; expected a regular file. Remove it from the folder")
    refuse_size(file.size, folder.limits)
    _refuse_name(file)


def _object(folder: Folder, file: File, ends: float) -> io.RawIOBase:
    _refuse_object(folder, file)
    return copied(folder.path, file.path, ends, partial(refuse_size, limits=folder.limits))


def _regular(path: str, root: str) -> io.FileIO:
    real = os.path.realpath(path)
    try:
        if not is_inside(path, os.path.realpath(root)):
            raise SourceError("is a link that leads out of its folder; expected a file in it. Copy the file there")
        mode = os.lstat(real).st_mode
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "not a file")
            raise SourceError(f"is {kind}; expected a regular file. Remove it from the folder")
        return io.FileIO(os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as problem:
        raise SourceError(
            f"cannot be opened ({problem.strerror}); expected a file that this user may read. Put it back or mend its "
            "permissions"
        ) from None


def refuse_size(size: int, limits: Limits) -> None:
    """Raise SourceError for a file that is empty or too large."""
    if size == 0:
        raise SourceError("is empty (0 bytes); expected a header and rows. Replace the file")
    if size > limits.max_mb * 1e6:
        raise SourceError(
            f"is too large ({size / 1e6:,.1f} MB); expected at most {limits.max_mb:,.1f} MB. Split the file, "
            "or raise limits.max_mb"
        )


def _refuse_name(file: File) -> None:
    if file.unsafe:
        raise SourceError(f"has an unsafe name; expected {SAFE}, the first a letter, a digit or '_'. Rename the file")
    if not file.path.endswith(SUFFIXES):
        raise SourceError(
            "is of an unknown kind; expected a name that ends in .csv, .csv.gz or .parquet. Rename or convert it"
        )
