"""Opens a file of data only when it is what it should be: regular, inside its folder, neither empty nor too large."""

import io
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from mlops_assets.errors import SourceError
from mlops_assets.sources.folder.listing import is_inside
from mlops_assets.sources.limits import Limits

_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a directory",
}


@dataclass(frozen=True)
class Format:
    """How the files of a folder are written, and how large they may be."""

    encoding: str
    delimiter: str
    na_values: tuple[str, ...]
    dtypes: tuple[tuple[str, str], ...]
    limits: Limits
    decimal: str = "."
    thousands: str | None = None
    keep_default_na: bool = True
    time_format: str | None = None


class SlowFileError(SourceError):
    """A file that takes longer to read than a look has."""


class _Bounded(io.BufferedReader):
    """A file of which no more is read once `seconds` are over, however little of it unpacks to however much."""

    def __init__(self, raw: io.RawIOBase, seconds: float) -> None:
        super().__init__(raw)
        self._ends, self._seconds, self.is_late = time.monotonic() + seconds, seconds, False

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as any file does; SlowFileError when it is too late."""
        self._in_time()
        return super().read(size)

    def read1(self, size: int = -1, /) -> bytes:
        """Read as `read` does."""
        self._in_time()
        return super().read1(size)

    def readinto(self, buffer: Any, /) -> int:
        """Read as `read` does."""
        self._in_time()
        return super().readinto(buffer)

    def _in_time(self) -> None:
        self.is_late = time.monotonic() > self._ends
        if self.is_late:
            raise SlowFileError(f"takes longer than {self._seconds:.0f} s to be divided. Split the file")


@contextmanager
def open_for(path: str, root: str, limits: Limits, seconds: float | None) -> Iterator[BinaryIO]:
    """Open the file; a read raises SlowFileError once `seconds` are over, whatever a parser makes of that."""
    with open_file(path, root, limits, seconds) as stream:
        try:
            yield stream
        except SourceError as problem:
            if isinstance(stream, _Bounded) and stream.is_late and not isinstance(problem, SlowFileError):
                stream._in_time()
            raise


def open_file(path: str, root: str, limits: Limits, seconds: float | None = None) -> BinaryIO:
    """Open the file; SourceError with the reason where it must not be read.

    Pipes and devices are not opened at all. A link is followed only to a place below `root`. After `seconds` a read
    raises SlowFileError.
    """
    real = os.path.realpath(path)
    try:
        _refuse_other_kinds(os.lstat(path).st_mode if not os.path.islink(path) else None, path, real, root)
        handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise SourceError(
            f"cannot be opened ({problem.strerror}); expected a file that this user may read. Put it back or mend its "
            "permissions"
        ) from None
    stream = os.fdopen(handle, "rb") if seconds is None else _Bounded(io.FileIO(handle), seconds)
    try:
        _refuse_size(os.fstat(handle), limits)
    except SourceError:
        stream.close()
        raise
    return stream


def _refuse_other_kinds(mode: int | None, path: str, real: str, root: str) -> None:
    if not is_inside(path, os.path.realpath(root)):
        raise SourceError("is a link that leads out of its folder; expected a file in it. Copy the file there")
    mode = os.lstat(real).st_mode if mode is None else mode
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "not a file")
        raise SourceError(f"is {kind}; expected a regular file. Remove it from the folder")


def _refuse_size(status: os.stat_result, limits: Limits) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SourceError("is not a regular file; expected one. Remove it from the folder")
    if status.st_size == 0:
        raise SourceError("is empty (0 bytes); expected a header and rows. Replace the file")
    if status.st_size > limits.max_mb * 1e6:
        raise SourceError(
            f"is too large ({status.st_size / 1e6:,.1f} MB); expected at most {limits.max_mb:,.1f} MB. Split the file, "
            "or raise limits.max_mb"
        )
