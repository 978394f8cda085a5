"""Which files a glob names, by their directory entries alone: nothing is opened."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mlops_assets.sources.keys import hashed_key, is_safe, safe_key, short_digest
from mlops_assets.text import natural_order

SUFFIXES = (".csv.gz", ".csv", ".parquet")
_SEPARATOR = "--"
_Entry = tuple[os.DirEntry[str], str, bool]
"""A directory entry, its name below the root, and whether a `.done` marker stands beside it."""


@dataclass(frozen=True, kw_only=True)
class File:
    """A directory entry that the glob names. `mark` changes with size, times or inode."""

    key: str
    name: str
    path: str
    mark: str
    modified: float
    regular: bool
    done: bool
    unsafe: bool

    @property
    def shown(self) -> str:
        """The name as it may stand in a message."""
        return f"{self.name!r:.80}" if self.unsafe else self.name

    @property
    def is_parquet(self) -> bool:
        """Whether the file is read as parquet; CSV files are plain or gzip."""
        return self.path.endswith(".parquet")

    @property
    def undivided_key(self) -> str:
        """The key of the batch that the file is where it cannot be divided by period."""
        return f"file-{self.key}"


def fixed_root(pattern: str) -> tuple[str, list[str]]:
    """Return the leading folders of a glob that hold no wildcard, and the parts that follow."""
    parts = pattern.replace(os.sep, "/").split("/")
    wild = [index for index, part in enumerate(parts) if any(sign in part for sign in "*?[")]
    cut = min(wild[0] if wild else len(parts) - 1, len(parts) - 1)
    root = "/".join(parts[:cut]) or ("/" if pattern.startswith("/") else ".")
    rest = [part for part in parts[cut:] if part not in ("", ".")]
    return root, [*rest, "*"] if rest[-1:] == ["**"] else rest


def list_files(pattern: str) -> list[File]:
    """Return all that the glob names, in natural order of the names; OSError when its root cannot be listed.

    Hidden names and `.done` markers are left out. Pipes, devices and links are listed, so that reading refuses them
    with a reason; so is a directory that is named like a file of data.
    """
    root, parts = fixed_root(pattern)
    suffix = next((known for known in SUFFIXES if parts[-1].endswith(known)), "")
    entries = {name: (entry, done) for entry, name, done in _walk(root, "", parts, os.path.realpath(root))}
    files = (_file(entry, name, done, suffix, len(parts) > 1) for name, (entry, done) in entries.items())
    return sorted(filter(None, files), key=lambda file: natural_order(file.name))


def _walk(folder: str, prefix: str, parts: list[str], root: str) -> Iterator[_Entry]:
    head, rest = parts[0], parts[1:]
    with os.scandir(folder) as listing:
        entries = list(listing)
    names = {entry.name for entry in entries}
    if head == "**":
        yield from _walk(folder, prefix, rest, root)
    for entry in entries:
        name = prefix + entry.name
        if entry.name.startswith(".") and not head.startswith("."):
            continue
        if head == "**":
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry, name, parts, root)
        elif fnmatchcase(entry.name, head):
            if not rest:
                if not entry.name.endswith(".done"):
                    yield entry, name, f"{entry.name}.done" in names
            elif entry.is_dir() and is_inside(entry.path, root):
                yield from _below(entry, name, rest, root)
            elif entry.is_symlink():
                yield entry, name, False


def _below(entry: os.DirEntry[str], name: str, parts: list[str], root: str) -> Iterator[_Entry]:
    try:
        yield from _walk(entry.path, name + "/", parts, root)
    except OSError:
        yield entry, name + "/", False  # cannot be listed: shown as it is, so that reading says so


def is_inside(path: str, root: str) -> bool:
    """Return whether a path, with all links followed, lies below a root that is a real path."""
    return os.path.realpath(path).startswith(root.rstrip("/") + "/")


def _file(entry: os.DirEntry[str], name: str, done: bool, suffix: str, nested: bool) -> File | None:
    try:
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode) and os.path.isfile(entry.path):
            status = os.stat(entry.path)
    except OSError:
        return None  # deleted since the folder was listed
    if stat.S_ISDIR(status.st_mode) and not name.endswith((*SUFFIXES, "/")):
        return None
    stem = name.removesuffix(suffix)
    return File(
        key=_key(stem, nested),
        name=name,
        path=entry.path,
        mark=short_digest(f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"),
        modified=status.st_mtime,
        regular=stat.S_ISREG(status.st_mode),
        done=done,
        unsafe=not all(is_safe(part) for part in stem.split("/")),
    )


def _key(stem: str, nested: bool) -> str:
    """Return one key for each name: folders are joined by "--", and a part that holds it already is hashed."""
    if not nested:
        return safe_key(stem)
    parts = stem.split("/")
    plain = all(is_safe(part) and _SEPARATOR not in part and not part.endswith("-") for part in parts)
    return safe_key(_SEPARATOR.join(parts)) if plain else hashed_key(stem)
