"""The marks of files and of periods: alike for a copy of a folder, other for a file that was replaced in its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mlops_assets.sources.keys import short_digest


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What shows that a file, or one of several, has changed.

    `content` is a digest of size and time of change: a copy that keeps times has the same. `local` is a digest of what
    only a file system has, inode and time of its last change of any kind; it tells apart files of the same size and
    time, and holds for one `place`: a folder of one machine. Object stores have neither. `former` is the mark that
    earlier releases recorded.
    """

    content: str
    place: str = ""
    local: str = ""
    former: str = ""

    def __str__(self) -> str:
        """Return the mark as it is recorded."""
        return ".".join(filter(None, (self.content, self.place, self.local)))

    def settled(self, recorded: str | None) -> str:
        """Return the recorded mark where it is of the same content, else this mark, which is another text."""
        return recorded if recorded is not None and self.is_of(recorded) else str(self)

    def is_of(self, recorded: str) -> bool:
        """Return whether a recorded mark is of the same content."""
        content, _, local = recorded.partition(".")
        place, _, local = local.partition(".")
        if recorded == self.former and recorded:
            return True
        return content == self.content and (place != self.place or local == self.local)


def mark_of_all(marks: Iterable[tuple[str, Mark]]) -> Mark:
    """Return one mark for several files, each given with its key."""
    files = sorted(marks, key=lambda file: file[0])

    def digest(part: str) -> str:
        lines = sorted(f"{key} {getattr(mark, part)}" for key, mark in files)
        return short_digest("\n".join(lines)) if all(getattr(mark, part) for _, mark in files) else ""

    return Mark(content=digest("content"), place=files[0][1].place, local=digest("local")[:8], former=digest("former"))
