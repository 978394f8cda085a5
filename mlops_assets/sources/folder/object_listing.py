"""Which objects a glob names, by one listing below its fixed root: nothing is opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from mlops_assets.lazy import pa
from mlops_assets.sources.folder.listing import (
    DONE,
    SUFFIXES,
    Entry,
    File,
    files_in_order,
    fixed_root,
    is_hidden,
    suffix_of,
)
from mlops_assets.sources.folder.marks import Mark
from mlops_assets.sources.keys import is_safe, short_digest
from mlops_assets.sources.object_store import ANSWER_SECONDS, answer, opened_store


def list_objects(url: str, seconds: float = ANSWER_SECONDS) -> list[File]:
    """Return all that the glob names, in natural order of the names; FileNotFoundError where nothing is below its root.

    The rules are those of a local folder: hidden names and `.done` markers are left out, and a folder that is named
    like a file of data is listed. `SourceUnavailableError` where the store does not answer.
    """
    store, pattern = opened_store(url)
    root, parts = fixed_root(pattern)
    # A listing of all that is below takes a request for each 1,000 objects; one of each folder would take one a folder.
    selector = pa.fs.FileSelector(root, recursive=len(parts) > 1)
    try:
        found = answer(url, lambda: store.get_file_info(selector), seconds)
    except FileNotFoundError:
        raise FileNotFoundError(2, f"there is nothing below {root!r:.200}") from None
    return files_in_order(_entries(found, root, parts), parts)


def find_object(url: str, key: str) -> File | None:
    """Return the object of a key by one question; None where there is none, or the key does not tell its name."""
    store, pattern = opened_store(url)
    root, parts = fixed_root(pattern)
    name = key + suffix_of(parts)
    if len(parts) > 1 or not is_safe(key) or not _names(parts, [name]):
        return None
    paths = [f"{root}/{name}", f"{root}/{name}{DONE}"]
    found = [info for info in answer(url, lambda: store.get_file_info(paths)) if info.is_file]
    files = files_in_order(_entries(found, root, parts), parts)
    return next((file for file in files if file.key == key), None)


def _entries(found: Sequence[pa.fs.FileInfo], root: str, parts: list[str]) -> Iterator[Entry]:
    below = len(root) + 1
    files = {info.path[below:]: info for info in found if info.type == pa.fs.FileType.File}
    folders = {info.path[below:]: info for info in found if info.type != pa.fs.FileType.File}
    for name, info in {**folders, **files}.items():
        is_file = name in files
        if name.endswith(DONE) or not (is_file or name.endswith(SUFFIXES)) or not _names(parts, name.split("/")):
            continue
        yield Entry(
            name=name,
            path=info.path,
            mark=Mark(content=short_digest(f"{info.size} {info.mtime_ns}")),
            modified=info.mtime_ns / 1e9 if is_file else 0.0,
            size=info.size if is_file else 0,
            regular=is_file,
            done=name + DONE in files,
        )


def _names(parts: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether the parts of a glob name a file, given with its folders; `**` is any number of folders."""
    if not parts or not names:
        return not parts and not names
    part, name = parts[0], names[0]
    if part == "**" and _names(parts[1:], names):
        return True
    if is_hidden(name, part):
        return False
    if part == "**":
        return len(names) > 1 and _names(parts, names[1:])
    return fnmatchcase(name, part) and _names(parts[1:], names[1:])
