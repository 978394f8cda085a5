"""What every source says about its batches: what is ready, what waits, and keys that are safe as paths."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

Period = Literal["day", "week", "month", "quarter", "year"]

Recall = Literal["nothing", "files", "batches"]
"""What a source must be told at each look: nothing, its files as they were before, or its batches so far."""

RUNNING = "period not over"
"""Why a period waits that may still get rows."""

_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\Z")


@dataclass(frozen=True)
class Waiting:
    """Something that is there and is not a batch yet, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Look:
    """What one look at a source found.

    `ready` maps each batch key to a cheap mark that changes when the batch may have changed; its order is the
    order of the batches. `seen` is to be handed to the next look; it is plain JSON.
    """

    ready: dict[str, str]
    waiting: tuple[Waiting, ...]
    seen: dict[str, str]


def is_safe(name: str) -> bool:
    """Whether a name is safe as a path and as a partition key: [A-Za-z0-9._-], 1 to 100 long, no leading "." or "-"."""
    return bool(_SAFE.match(name))


def safe_key(name: str) -> str:
    """The name itself where it is safe, else a readable part of it with 8 hex digits of its SHA-256."""
    return name if is_safe(name) else hashed_key(name)


def hashed_key(name: str) -> str:
    """A safe key that tells names apart which would look alike once made safe."""
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-")[:60].strip("-") or "batch"
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{slug}-{digest[:8]}"


def natural_order(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which "batch-2" comes before "batch-10"."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), part) if part.isascii() and part.isdigit() else (1, 0, part) for part in parts if part]
