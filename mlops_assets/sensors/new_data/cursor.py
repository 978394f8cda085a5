"""The memory of a source that `new_data` keeps between two looks, in a cursor of bounded size."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mlops_assets.sources import Look, Source
from mlops_assets.sources.source import Known

MOST_TRIED = 200

Tried = dict[str, tuple[str, float]]


@dataclass(frozen=True, kw_only=True)
class SourceMemory:
    """The memory of one source that one tick leaves for the next.

    `seen` and `rest`: the source's own memory; `tried`: batches that wait for their next attempt, with their need and
    its time (seconds since 1970); `after`: the candidate at which the next tick goes on; `gone`: batches that are
    reported as gone.
    """

    seen: dict[str, str] = field(default_factory=dict)
    rest: str = ""
    tried: Tried = field(default_factory=dict)
    after: str = ""
    gone: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "SourceMemory":
        """Return the memory that `to_json` returned; unknown fields of an earlier release are dropped."""
        memory = {name: value[name] for name in cls.__dataclass_fields__ if name in value}
        tried = {batch: (str(need), float(due)) for batch, (need, due) in memory.pop("tried", {}).items()}
        return cls(**{**memory, "tried": tried, "gone": tuple(memory.get("gone", ()))})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON, without empty fields."""
        return {name: value for name, value in asdict(self).items() if value}

    def known(self, marks: Mapping[str, str], asked: Callable[[], Iterable[str]] = tuple) -> Known:
        """Return what a source may recall; `marks` holds the marks of the batches that were taken in."""
        waits = {batch: need.split(" ")[0] for batch, (need, _) in self.tried.items()}
        return Known(marks=marks, tried=waits, asked=asked, seen=self.seen, rest=self.rest)

    def after_look(self, source: Source, look: Look, marks: Mapping[str, str]) -> "SourceMemory":
        """Return the memory with what the source keeps of a look."""
        seen, rest = source.keep(look, self.known(marks))
        return replace(self, seen=seen, rest=rest)
