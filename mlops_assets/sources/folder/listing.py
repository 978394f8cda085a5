"""A glob and the files that it names, wherever they are: their keys, their marks, their order."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from mlops_assets.sources.folder.marks import Mark
from mlops_assets.sources.keys import hashed_key, is_safe, safe_key
from mlops_assets.text import natural_order

SUFFIXES = (".csv.gz", ".csv", ".parquet")
DONE = ".done"
_SEPARATOR = "--"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the listing of a folder shows of a file; `name` is its path below the root of the glob."""

    name: str
    path: str
    mark: Mark
    modified: float
    size: int
    regular: bool
    done: bool


@dataclass(frozen=True, kw_only=True)
class File(Entry):
    """A file that the glob names; `path` is in its file system or, on an object store, begins with the bucket."""

    key: str
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


def files_in_order(entries: Iterable[Entry], parts: list[str]) -> list[File]:
    """Return the files, with their keys, in natural order of the names; `parts` are those of the glob with wildcards.

    Left out is a directory, unless it is named like a file of data: reading it gives the reason.
    """
    suffix = suffix_of(parts)
    files = (_file(entry, suffix, len(parts) > 1) for entry in entries)
    return sorted(files, key=lambda file: natural_order(file.name))


def suffix_of(parts: list[str]) -> str:
    """Return the suffix that all files of a glob end with and no key has; empty where they may have several."""
    return next((known for known in SUFFIXES if parts[-1].endswith(known)), "")


def is_hidden(name: str, part: str) -> bool:
    """Return whether a part of a glob leaves out a name since it begins with a dot."""
    return name.startswith(".") and not part.startswith(".")


def _file(entry: Entry, suffix: str, nested: bool) -> File:
    stem = entry.name.removesuffix(suffix)
    unsafe = not all(is_safe(part) for part in stem.split("/"))
    return File(**vars(entry), key=_key(stem, nested), unsafe=unsafe)


def _key(stem: str, nested: bool) -> str:
    """Return one key for each name: folders are joined by "--", and a part that holds it already is hashed."""
    if not nested:
        return safe_key(stem)
    parts = stem.split("/")
    plain = all(is_safe(part) and _SEPARATOR not in part and not part.endswith("-") for part in parts)
    return safe_key(_SEPARATOR.join(parts)) if plain else hashed_key(stem)
