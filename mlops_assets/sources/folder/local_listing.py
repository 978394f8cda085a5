"""Which files of this machine a glob names, by their directory entries alone: nothing is opened."""

from __future__ import annotations

import os
import platform
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase

from mlops_assets.sources.folder.listing import DONE, SUFFIXES, Entry, File, files_in_order, fixed_root, is_hidden
from mlops_assets.sources.folder.marks import Mark
from mlops_assets.sources.keys import short_digest

_Found = tuple[os.DirEntry[str], str, bool]
"""A directory entry, its name below the root, and whether a `.done` marker stands beside it."""


def list_local(pattern: str) -> list[File]:
    """Return all that the glob names, in natural order of the names; OSError when its root cannot be listed.

    Hidden names and `.done` markers are left out. Pipes, devices and links are listed, so that reading refuses them
    with a reason; so is a directory that is named like a file of data.
    """
    root, parts = fixed_root(pattern)
    found = {name: (entry, done) for entry, name, done in _walk(root, "", parts, os.path.realpath(root))}
    place = _place(root)
    entries = (_entry(entry, name, done, place) for name, (entry, done) in found.items())
    return files_in_order(filter(None, entries), parts)


def is_inside(path: str, root: str) -> bool:
    """Return whether a path, with all links followed, lies below a root that is a real path."""
    return os.path.realpath(path).startswith(root.rstrip("/") + "/")


def _walk(folder: str, prefix: str, parts: list[str], root: str) -> Iterator[_Found]:
    head, rest = parts[0], parts[1:]
    with os.scandir(folder) as listing:
        entries = list(listing)
    names = {entry.name for entry in entries}
    if head == "**":
        yield from _walk(folder, prefix, rest, root)
    for entry in entries:
        name = prefix + entry.name
        if is_hidden(entry.name, head):
            continue
        if head == "**":
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry, name, parts, root)
        elif fnmatchcase(entry.name, head):
            if not rest:
                if not entry.name.endswith(DONE):
                    yield entry, name, entry.name + DONE in names
            elif entry.is_dir() and is_inside(entry.path, root):
                yield from _below(entry, name, rest, root)
            elif entry.is_symlink():
                yield entry, name, False


def _below(entry: os.DirEntry[str], name: str, parts: list[str], root: str) -> Iterator[_Found]:
    try:
        yield from _walk(entry.path, name + "/", parts, root)
    except OSError:
        yield entry, name + "/", False  # cannot be listed: shown as it is, so that reading says so


def _entry(entry: os.DirEntry[str], name: str, done: bool, place: str) -> Entry | None:
    try:
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode) and os.path.isfile(entry.path):
            status = os.stat(entry.path)
    except OSError:
        return None  # deleted since the folder was listed
    if stat.S_ISDIR(status.st_mode) and not name.endswith((*SUFFIXES, "/")):
        return None
    return Entry(
        name=name,
        path=entry.path,
        mark=_mark(status, place),
        modified=status.st_mtime,
        size=status.st_size,
        regular=stat.S_ISREG(status.st_mode),
        done=done,
    )


def _mark(status: os.stat_result, place: str) -> Mark:
    """Return the mark of a file; its time in whole seconds, since archives and some file systems keep no more."""
    times = f"{status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
    return Mark(
        content=short_digest(f"{status.st_size} {status.st_mtime_ns // 1_000_000_000}"),
        place=place,
        local=short_digest(times)[:8],
        former=short_digest(f"{status.st_size} {times}"),
    )


def _place(root: str) -> str:
    """Return what differs between a folder and its copy, on another machine too."""
    status = os.stat(root)
    return short_digest(f"{platform.node()} {status.st_dev} {status.st_ino}")[:8]
