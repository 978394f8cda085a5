"""Opens a file of data only when it is what it should be: regular, inside its folder, neither empty nor too large."""

import os
import stat
from dataclasses import dataclass
from typing import BinaryIO

from mlops_assets.errors import SourceError
from mlops_assets.sources.limits import Limits
from mlops_assets.sources.listing import is_inside

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


def open_file(path: str, root: str, limits: Limits) -> BinaryIO:
    """The file, open for reading; SourceError with the reason where it is not to be read.

    Pipes and devices are not opened at all. A link is followed only to a place below `root`.
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
    stream = os.fdopen(handle, "rb")
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
