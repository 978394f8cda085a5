"""The storage: whether batches can be written to its folder, or what its object store does with a probe."""

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from mlops_assets.cli.doctor.findings import Finding, advice, fault, fine
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.file_systems import is_local
from mlops_assets.resources.storage import files

_LEAST_FREE = 1_000_000_000
_STOPPED = "No batch can be taken in or scored, and nothing can be trained."
_PROBES = "doctor"
"""The folder of the probes, in the root of the storage."""


def storage(root: str, database: str = "") -> Iterator[Finding]:
    """Check that batches can be written and read; an object store is asked to do all that the pack asks of it."""
    if is_local(root):
        yield from _folder(str(files.local_path(root)))
        return
    url = os.environ.get(database[1:], "") if database.startswith("$") else database
    if url.startswith("sqlite"):
        why = "Other machines see the batches and not what became of them."
        mend = "set MLOPS_ASSETS_DATABASE to a PostgreSQL that all machines reach"
        yield advice("storage and records", f"{root} is on an object store, its records in a file", why, mend)
    yield _object_store(root)
    yield from _temporary_folder()


def _folder(root: str) -> Iterator[Finding]:
    """Check that files can be written to a folder of this machine and have room."""
    path = Path(root)
    if not path.is_absolute():
        why = "Each process looks below the folder that it was started in: another process does not find what it wrote."
        mend = "give mlops_storage and mlops_batches an absolute root"
        yield advice("storage path", f"{root!r} is relative", why, mend)
    folder = next(parent for parent in (path.absolute(), *path.absolute().parents) if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        why, mend = "No batch can be taken in, no decision recorded.", f"give the user of the daemon the folder {path}"
        yield fault("storage", f"{folder} cannot be written to", why, mend)
        return
    free = shutil.disk_usage(folder).free
    why = "A batch or a model that does not fit is not written; its run fails."
    mend = "make room: the pack deletes nothing there"
    full = fault("storage", f"{free / 1e9:.2f} GB free below {folder}", why, mend)
    yield full.unless(free >= _LEAST_FREE, f"{path}: can be written to, {free / 1e9:,.0f} GB free")


def _object_store(root: str) -> Finding:
    """Write, read, list and remove an object, and return what a store did wrong first, or that it did all."""
    place, content = files.join(root, _PROBES, f"{uuid.uuid4().hex}.txt"), uuid.uuid4().bytes
    begin = time.perf_counter()
    try:
        files.write_whole(place, lambda file: file.write(content))
    except MlopsAssetsError as error:
        return fault("storage", str(error), _STOPPED, _mend(root))
    try:
        if wrong := _unlike(place, content):
            why = "A step would not find what the step before has written. " + _STOPPED
            return fault("storage", f"{root}: {wrong}", why, "use a store, or settings, without a cache in between")
        files.remove(place)
        if files.exists(place):
            why = "The pack removes only temporary files, on Azure; old ones may stay."
            return advice("storage", f"{root}: an object that was removed is still given", why)
    except MlopsAssetsError as error:
        return fault("storage", str(error), _STOPPED, _mend(root))
    finally:
        with suppress(MlopsAssetsError):
            files.remove(place)
    seconds = time.perf_counter() - begin
    return fine("storage", f"{root}: an object was written, read back, listed and removed, in {seconds:.2f} s")


def _unlike(place: str, content: bytes) -> str:
    """Return how an object that was just written is not as it was written, "" if it is."""
    try:
        if files.read_bytes(place) != content:
            return "an object that was just written has another content when it is read"
    except FileNotFoundError:
        return "an object that was just written is not there when it is read"
    folder, _, name = place.rpartition("/")
    return "" if name in files.names_in(folder) else "an object that was just written is not in the list of its folder"


def _mend(root: str) -> str:
    return f"make {root} reachable, with rights to read, write, list and delete; credentials are in the environment"


def _temporary_folder() -> Iterator[Finding]:
    """Check the room for what is prepared here before it is uploaded."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    why = "A batch is written there before it is uploaded; one that does not fit fails its run."
    full = fault("temporary folder", f"{free / 1e9:.2f} GB free in {folder}", why, "make room, or set TMPDIR")
    yield full.unless(free >= _LEAST_FREE, f"{folder}: {free / 1e9:,.0f} GB free for uploads")
