"""Requests of people and to people: a hold on promotions, and a version that waits for approval."""

from dataclasses import dataclass
from typing import ClassVar

from mlops_assets.records.typed import Records
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.storage import Storage

_KEY = "promotions"


@dataclass(frozen=True)
class Hold:
    """Who holds the promotions of a model, and why."""

    KIND: ClassVar[str] = "holds"

    by: str
    reason: str

    def __str__(self) -> str:
        return f"{self.by}: {self.reason}"


@dataclass(frozen=True)
class WaitingVersion:
    """The version that waits for a person's approval, and the champion it was judged against (None: no champion)."""

    KIND: ClassVar[str] = "approvals"

    version: int
    digest: str
    against: int | None

    def names(self, version: ModelVersion) -> bool:
        """Return whether this version is the one that waits."""
        return (version.version, version.digest) == (self.version, self.digest)


class Requests:
    """At most one hold and one waiting version of a model."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._holds = Records(storage, model, Hold)
        self._waiting = Records(storage, model, WaitingVersion)

    def hold(self) -> Hold | None:
        """Return the hold on promotions; raise `DamagedRecordError` if it cannot be read, so that the hold stays."""
        return self._holds.sound(_KEY)

    def put_hold(self, hold: Hold | None) -> None:
        """Hold promotions, or release them (None)."""
        self._holds.put(_KEY, hold)

    def waiting(self) -> WaitingVersion | None:
        """Return the version that waits for approval."""
        return self._waiting.get(_KEY)

    def put_waiting(self, waiting: WaitingVersion | None) -> None:
        """Let a version wait in place of any other, or let no version wait (None)."""
        self._waiting.put(_KEY, waiting)
