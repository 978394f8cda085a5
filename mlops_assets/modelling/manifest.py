"""The training set as a list: which version of which batch is trained on, which one is judged on, which left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mlops_assets.lazy import pd


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A sample of labelled rows: `share` of them, drawn by `seed` over all batches of a `role`.

    `memory_mb` is the limit that the rows of training set and holdout exceed.
    """

    share: float
    seed: int
    role: str
    memory_mb: float


@dataclass(frozen=True, kw_only=True)
class BatchInfo:
    """What a split needs to know of a batch: its data version, its rows, and the first and last time in it.

    `sample` says which labelled rows are used; None for all.
    """

    key: str
    version: str
    rows: int
    labelled: int
    start: pd.Timestamp | None = None
    end: pd.Timestamp | None = None
    sample: Sample | None = None

    @property
    def share(self) -> float:
        """The share of the labelled rows that is used."""
        return 1.0 if self.sample is None else self.sample.share

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; times as ISO 8601."""
        times = {"start": self.start and self.start.isoformat(), "end": self.end and self.end.isoformat()}
        values = {**vars(self), **times, "sample": self.sample and asdict(self.sample)}
        return {name: value for name, value in values.items() if name != "sample" or value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BatchInfo:
        """Return the inverse of `to_dict`."""
        times = {name: pd.Timestamp(values[name]) if values.get(name) else None for name in ("start", "end")}
        rows, labelled = int(values["rows"]), int(values["labelled"])
        sample = Sample(**values["sample"]) if values.get("sample") else None
        return cls(key=values["key"], version=values["version"], rows=rows, labelled=labelled, sample=sample, **times)


@dataclass(frozen=True)
class Manifest:
    """Batches by role, in order of time. `left_out` holds (batch, why) of every other batch."""

    train: tuple[BatchInfo, ...]
    holdout: tuple[BatchInfo, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def version(self) -> str:
        """16 hex digits from the content of the batches in both roles: the data version of the training set."""
        roles = [[batch.to_dict() for batch in role] for role in (self.train, self.holdout)]
        return hashlib.sha256(json.dumps(roles, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def trained_until(self) -> str:
        """The last moment (or batch, if rows have no time) that the training rows know of."""
        ends = [batch.end for batch in self.train if batch.end is not None]
        return str(max(ends)).removesuffix(" 00:00:00") if ends else self.train[-1].key

    def rows(self, role: str) -> int:
        """Return the number of labelled rows in a role, `train` or `holdout`."""
        return sum(batch.labelled for batch in getattr(self, role))

    def table(self) -> list[dict[str, Any]]:
        """Return one row for each batch, for people to read."""
        rows = [
            (batch.key, role, batch.labelled, batch.version[:16], "")
            for role in ("train", "holdout")
            for batch in getattr(self, role)
        ]
        left_out = [(key, "out", None, "", why) for key, why in self.left_out]
        columns = ("batch", "role", "labelled rows", "version", "why")
        return [dict(zip(columns, row, strict=True)) for row in [*rows, *left_out]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        roles = {role: [batch.to_dict() for batch in getattr(self, role)] for role in ("train", "holdout")}
        return {**roles, "left_out": [list(pair) for pair in self.left_out]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Manifest:
        """Return the inverse of `to_dict`."""
        train, holdout = (tuple(BatchInfo.from_dict(batch) for batch in values[role]) for role in ("train", "holdout"))
        return cls(train, holdout, tuple((key, why) for key, why in values["left_out"]))
