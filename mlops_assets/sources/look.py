"""What one look at a source finds: which batches are ready, and what waits."""

from dataclasses import dataclass, field
from typing import Literal

Period = Literal["day", "week", "month", "quarter", "year"]

RUNNING = "period not over"
"""Why a period waits that may still get rows."""


@dataclass(frozen=True)
class Waiting:
    """Something that is there and is not a batch yet, with the reason."""

    name: str
    reason: str


@dataclass(frozen=True)
class Look:
    """What one look at a source found.

    `ready` maps each batch key to a cheap mark that changes when the batch may have changed; its order is the
    order of the batches. `seen` is for `Source.keep`. Where `listed` is False the source could not be listed, and
    nothing follows from what is absent.
    """

    ready: dict[str, str]
    waiting: tuple[Waiting, ...] = ()
    seen: dict[str, str] = field(default_factory=dict)
    listed: bool = True
