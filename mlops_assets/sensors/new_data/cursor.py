"""What `new_data` keeps of a source from one look to the next, in a cursor of bounded size.

A file is read once it was the same at two looks, so the first of them has to be remembered. Dagster keeps the cursor
with each tick: it must not grow with the folder.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import takewhile
from typing import Any

from mlops_assets.sources import Folder, Frame, Source, Table
from mlops_assets.sources.look import Look

MOST_FILES = 200
MOST_PERIOD_FILES = 500
MOST_TRIED = 200


Tried = dict[str, tuple[str, float]]


@dataclass(frozen=True)
class Memory:
    """What one tick leaves for the next of one source.

    `seen`: mark of each file that was not taken in yet; `rest`: digest of those that are not named in `seen`, where
    batches are periods; `tried`: batches that wait for their next attempt, with what they need and when (seconds
    since 1970); `after`: the candidate at which the next tick goes on; `gone`: batches reported as gone.
    """

    seen: dict[str, str] = field(default_factory=dict)
    rest: str = ""
    tried: Tried = field(default_factory=dict)
    after: str = ""
    gone: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Memory":
        """What `to_json` gave; what an earlier release left in the cursor is forgotten."""
        known = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        tried = {batch: (str(need), float(due)) for batch, (need, due) in known.pop("tried", {}).items()}
        return cls(**{**known, "tried": tried, "gone": tuple(known.get("gone", ()))})

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, without what is empty."""
        return {name: value for name, value in asdict(self).items() if value}


def look(source: Folder | Frame | Table, memory: Memory, marks: Mapping[str, str]) -> Look:
    """Look at a source; `marks` are those of the batches that were taken in."""
    if source.recall != "files":
        return source.look(marks if source.recall == "batches" else {})
    if source.period is not None:
        return source.look(_files_of_periods(source, memory))
    return source.look({**marks, **_marks(memory.tried), **memory.seen})


def seen_now(source: Source, found: Look, memory: Memory, marks: Mapping[str, str], tried: Tried) -> dict[str, Any]:
    """`seen` and `rest` of the next memory.

    A file whose mark is that of the batch taken in, or of a batch that was tried, needs no entry. Of the others the
    first 200 get one, in the order of the source; those that keep changing come last, so that they hold up no other.
    """
    if source.recall != "files":
        return {"seen": {}}
    if source.period is not None:
        files = list(found.seen.items())
        older, newest = files[:-MOST_PERIOD_FILES], files[-MOST_PERIOD_FILES:]
        return {"seen": dict(newest), "rest": _digest(older)}
    known = {**marks, **_marks(tried)}
    new = [(batch, mark) for batch, mark in found.seen.items() if known.get(batch) != mark]
    new.sort(key=lambda file: memory.seen.get(file[0], file[1]) != file[1])
    return {"seen": dict(new[:MOST_FILES])}


def _marks(tried: Tried) -> dict[str, str]:
    return {batch: need.split(" ")[0] for batch, (need, _) in tried.items()}


def _files_of_periods(source: Folder | Frame | Table, memory: Memory) -> dict[str, str]:
    """The marks of the last look, of which the older part was kept as a digest of them all.

    Where a batch is a period, no file can be told from the ledger to have been taken in. So all files but the newest
    500, the last in order, wait for one another: they count as unchanged while all of them are.
    """
    if not memory.rest:
        return memory.seen
    older = list(takewhile(lambda file: file[0] not in memory.seen, source.look({}).seen.items()))
    return {**dict(older), **memory.seen} if _digest(older) == memory.rest else memory.seen


def _digest(files: Iterable[tuple[str, str]]) -> str:
    text = "\n".join(f"{key} {mark}" for key, mark in files)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest() if text else ""
