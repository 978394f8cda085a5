"""Single files in a folder of this machine or in an object store: each appears whole or not at all.

Nothing here rests on locks, renames or conditional writes of a store: a file is named by its content, so a second
writer writes the same bytes. Whether a file is absent or its store does not answer is told apart everywhere.
"""

from __future__ import annotations

import os
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, TypeVar
from urllib.parse import urlsplit

from mlops_assets.background_call import BackgroundCall
from mlops_assets.errors import StorageError
from mlops_assets.file_systems import AWAY, cause, file_system, is_local, is_url
from mlops_assets.lazy import pa

Result = TypeVar("Result")

_SECONDS = 12.0
"""How long a store may take to answer; a file may take longer by its size. A tick of a sensor ends within 15 s."""
_SLOWEST = 500_000.0
"""Bytes a second below which a transfer counts as stuck."""
_PART = 8_000_000


def join(root: str, *parts: str) -> str:
    """Return the place of a file below a root: a path for a folder of this machine, else a URL."""
    if is_local(root):
        return str(local_path(root).joinpath(*parts))
    return "/".join((root.strip().rstrip("/"), *parts))


def local_path(place: str) -> Path:
    """Return the path of a place on this machine."""
    return Path(urlsplit(place.strip()).path) if is_url(place) else Path(place)


def exists(place: str) -> bool:
    """Return whether there is such a file; raise `StorageError` if that cannot be known."""
    try:
        if is_local(place):
            return stat.S_ISREG(local_path(place).stat().st_mode)
        with opened(place):
            return True
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StorageError(f"{place} cannot be looked up: {error.strerror or error}. Look at the disk") from error


def read_bytes(place: str) -> bytes:
    """Return the content of a file; raise `FileNotFoundError` if there is none."""
    if is_local(place):
        return local_path(place).read_bytes()
    with opened(place) as file:
        content: bytes = asked(file.read, place, "read", file.size())
        return content


@contextmanager
def opened(place: str) -> Iterator[pa.NativeFile]:
    """Open a file for reading at any position; raise `FileNotFoundError` if there is none."""
    system, path = file_system(place)
    try:
        file = asked(lambda: system.open_input_file(path), place, "read")
    except FileNotFoundError:
        if not is_local(place):
            _check_bucket(place)
        raise
    with file:
        yield file


def write_whole(place: str, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file by a function that fills it; other readers see it whole or not at all, after a crash as well."""
    if is_local(place):
        _write_in_folder(local_path(place), write)
        return
    try:
        # pyarrow's streams upload what was written so far when an error passes through them, or when they are
        # collected as garbage: so nothing is computed while a stream is open, and an interrupt of the run, which comes
        # to the main thread, does not reach the thread that uploads.
        with tempfile.NamedTemporaryFile(prefix="mlops_assets_") as file:
            write(file)
            file.flush()
            _upload(file.name, place)
    except OSError as error:
        raise StorageError(
            f"{place} cannot be written: {error.strerror or error}. "
            f"Look at space and rights of the temporary folder {tempfile.gettempdir()}"
        ) from error


def remove(place: str) -> None:
    """Remove a file if it exists."""
    if is_local(place):
        local_path(place).unlink(missing_ok=True)
        return
    system, path = file_system(place)
    with suppress(FileNotFoundError):
        asked(lambda: system.delete_file(path), place, "removed")


def names_in(folder: str) -> list[str]:
    """Return the names of what a folder holds; [] if there is no such folder."""
    system, path = file_system(folder)
    wanted = pa.fs.FileSelector(path, allow_not_found=True)
    return sorted(found.base_name for found in asked(lambda: system.get_file_info(wanted), folder, "listed"))


def asked(call: Callable[[], Result], place: str, done: str, size: int = 0) -> Result:
    """Return what a store answers within a time limit; raise `StorageError` for every failure but a missing file."""
    try:
        return timed(call, place, done, size)
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        if is_local(place):
            raise
        raise StorageError(f"{place} cannot be {done}: {cause(error)}") from error


def timed(call: Callable[[], Result], place: str, done: str, size: int = 0) -> Result:
    """Return what a call returns; raise `StorageError` if an object store does not answer within a time limit.

    The call runs in a thread that is left behind after the limit: Azure's client waits for minutes.
    """
    if is_local(place):
        return call()
    limit = _SECONDS + size / _SLOWEST
    answer = BackgroundCall(call)
    if not answer.ended(limit):
        raise StorageError(f"{place} cannot be {done}: {AWAY} (no answer within {limit:.0f} s)")
    return answer.result()


def _check_bucket(place: str) -> None:
    """Raise `StorageError` if the bucket does not exist: then a file is not merely absent."""
    url = urlsplit(place.strip())
    _bucket(f"{url.scheme}://{url.netloc}")


@lru_cache(maxsize=32)
def _bucket(place: str) -> None:
    system, path = file_system(place)
    try:
        found = asked(lambda: system.get_file_info(path), place, "looked up")
    except StorageError:
        return  # credentials for one folder need not reach the whole bucket
    if found.type == pa.fs.FileType.NotFound:
        raise StorageError(f"{place} does not exist: make the bucket or container, or mend the root of the storage")


def _upload(source: str, place: str) -> None:
    system, path = file_system(place)
    size = os.path.getsize(source)
    if urlsplit(place.strip()).scheme.lower() in ("abfs", "abfss"):
        _upload_and_copy(system, source, place, path, size)
    else:  # an object of S3 or Google Cloud Storage appears when its upload is complete
        _send(system, source, place, path, size)


def _upload_and_copy(system: Any, source: str, place: str, path: str, size: int) -> None:
    """Upload under a hidden name and copy on the server: Azure shows a blob from its first block on."""
    hidden = f"{path.rpartition('/')[0]}/.{uuid.uuid4().hex}.tmp"
    try:
        _send(system, source, place, hidden, size)
        asked(lambda: system.copy_file(hidden, path), place, "written", size)
    except StorageError as error:
        if AWAY in str(error):  # removing would wait as long
            raise
        _forget(system, hidden, place)
        raise
    _forget(system, hidden, place)


def _forget(system: Any, hidden: str, place: str) -> None:
    with suppress(OSError, StorageError):  # the frame, or the first error, counts
        asked(lambda: system.delete_file(hidden), place, "written")


def _send(system: Any, source: str, place: str, path: str, size: int) -> None:
    def send() -> None:  # not by pa.fs.copy_files, which ignores errors as it closes the object
        with open(source, "rb") as file, system.open_output_stream(path) as stream:
            while part := file.read(_PART):
                stream.write(part)

    try:
        asked(send, place, "written", size)
    except StorageError as error:
        if AWAY not in str(error):
            _check_bucket(place)
        raise


def _write_in_folder(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside `path`, sync it to disk, move it into place in one step, and sync its folder."""
    temporary = path.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        made = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        for folder in (path.parent, *(folder.parent for folder in made)):
            _sync(folder)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}. Look at space and rights") from error
    finally:
        with suppress(OSError):  # where nothing can be written no file is left behind, and the first error counts
            temporary.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Bring the names in a folder to the disk, so that they outlive a loss of power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
