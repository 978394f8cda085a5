"""What became of each batch of a model: accepted or rejected, which version, with which features."""

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from typing import Any, ClassVar, Literal

from mlops_assets.errors import MlopsAssetsError
from mlops_assets.lazy import pd
from mlops_assets.modelling.manifest import BatchInfo
from mlops_assets.records.typed import Records
from mlops_assets.resources.storage import Storage
from mlops_assets.text import natural_order


@dataclass(frozen=True)
class Excluded:
    """Who took a batch out of training, and why."""

    KIND: ClassVar[str] = "excluded"

    by: str
    reason: str


_UNREADABLE = Excluded("unknown", "the record of who took it out, and why, cannot be read")


@dataclass(frozen=True)
class BatchRecord:
    """The newest record of one batch. `version` and `features` name the files that store its rows.

    `judged_by` identifies what rejected a batch; it is empty for other batches and in records of earlier releases.
    """

    KIND: ClassVar[str] = "batches"

    batch: str
    status: Literal["accepted", "rejected", "duplicate"]
    run_id: str
    _: KW_ONLY
    version: str | None = None
    rows: int = 0
    labelled: int = 0
    start: str | None = None
    end: str | None = None
    reasons: tuple[str, ...] = ()
    mark: str = ""
    features: str | None = None
    features_code: str | None = None
    labels: str | None = None
    excluded: Excluded | None = None
    judged_by: str = ""

    @property
    def identity(self) -> str:
        """The content that the record describes: the rows, their features and, where they come later, their labels."""
        return "-".join(str(part) for part in (self.version, self.features, self.labels) if part is not None)

    @property
    def content(self) -> str:
        """The rows and their features alone: scores and drift depend on these, not on labels that come later."""
        return "-".join(str(part) for part in (self.version, self.features) if part is not None)

    def ready(self, features_code: str) -> str | None:
        """Return None if the batch can be trained on, else what it waits for or why it is left out."""
        if self.status != "accepted":
            return f"{self.status}: " + "; ".join(self.reasons)
        if self.excluded:
            return f"taken out of training by {self.excluded.by}: {self.excluded.reason}"
        if self.features is None:
            return "waiting: its features were not computed yet; materialise its partition of features"
        if self.features_code != features_code:
            return "waiting: its features are of an older declaration; materialise its partition of features"
        return None


@dataclass(frozen=True)
class Labelled:
    """The labels of the rows `version` of a batch; `unusable` maps batches of outcomes with other keys to reasons."""

    KIND: ClassVar[str] = "labelled"

    version: str
    labels: str
    labelled: int
    unusable: dict[str, str] = field(default_factory=dict)


class BatchLedger:
    """The records of one model's batches; later labels and exclusions by a person are records of their own."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._model = model
        self._batches = Records(storage, model, BatchRecord)
        self._labelled = Records(storage, model, Labelled)
        self._excluded = Records(storage, model, Excluded)

    def put(self, record: BatchRecord) -> None:
        """Record what became of a batch; its earlier record is replaced."""
        self._batches.put(record.batch, record)

    def put_features(self, record: BatchRecord, features: str, features_code: str) -> None:
        """Record which file holds the features of a batch; raise `MlopsAssetsError` if its rows have changed."""
        with self._batches.writing() as writing:
            now = writing.get(record.batch)
            if now is not None and (now.status, now.version) != (record.status, record.version):
                raise MlopsAssetsError(
                    f"{self._model}: batch {record.batch!r} was taken in anew meanwhile (now {now.status}, rows "
                    f"{now.version}; these features are of {record.version}): the next run computes them"
                )
            writing.put(record.batch, replace(now or record, features=features, features_code=features_code))

    def exclude(self, batch: str, by: str, reason: str) -> None:
        """Take a batch out of training, or back in if `reason` is empty."""
        self._excluded.put(batch, Excluded(by, reason) if reason else None)

    def get(self, batch: str) -> BatchRecord | None:
        """Return the record of a batch, None if there is none."""
        record = self._batches.get(batch)
        if record is None:
            return None
        return _whole(record, self._labelled.get(batch), self._exclusions().get(batch))

    def written(self, batch: str) -> datetime:
        """Return when a batch was last recorded (UTC)."""
        return self._batches.written(batch)

    def excluded_at(self, batch: str) -> datetime:
        """Return when a batch was taken out of training (UTC)."""
        return self._excluded.written(batch)

    def accepted(self, batch: str) -> BatchRecord:
        """Return the record of an accepted batch; raise `MlopsAssetsError` with the reason for any other batch."""
        record = self.get(batch)
        if record is None:
            raise MlopsAssetsError(f"{self._model}: batch {batch!r} has no dataset yet: materialise that first")
        if record.status != "accepted":
            became = "was rejected" if record.status == "rejected" else "is a duplicate"
            raise MlopsAssetsError(f"{self._model}: batch {batch!r} {became}: {'; '.join(record.reasons)}")
        return record

    def same_rows(self, batch: str, version: str) -> str | None:
        """Return the accepted batch with the same rows that takes precedence over `batch`, or None.

        The first batch in the ledger stays. If two runs take in two such batches at once, the first in natural order
        stays: both runs look again after they wrote, and `new_data` later finds a pair that neither saw. One batch
        always stays: a batch gives way only to an accepted batch, and of two accepted batches only the later does.
        """
        return gives_way(batch, [record for record in self.records().values() if record.version == version])

    def records(self) -> dict[str, BatchRecord]:
        """Return all records by batch, in order of name."""
        labelled, excluded = self._labelled.all(), self._exclusions()
        return {
            batch: _whole(record, labelled.get(batch), excluded.get(batch))
            for batch, record in self._batches.all().items()
        }

    def all(self) -> list[BatchRecord]:
        """Return all records in order of time where it is known, else of batch key."""
        return sorted(self.records().values(), key=in_time)

    def _exclusions(self) -> dict[str, Excluded]:
        """Return all exclusions; a batch whose record of exclusion is damaged stays out of training."""
        return {**{damaged.key: _UNREADABLE for damaged in self._excluded.damaged()}, **self._excluded.all()}


def in_time(record: BatchRecord) -> tuple[str, Any]:
    """Return a key that sorts records by time where it is known, else by batch key."""
    return record.start or "", natural_order(record.batch)


def gives_way(batch: str, alike: Iterable[BatchRecord]) -> str | None:
    """Return the accepted batch among `alike` (all with the same rows) that takes precedence over `batch`, or None."""
    accepted = [record.batch for record in alike if record.status == "accepted"]
    others = [other for other in accepted if other != batch]
    if batch in accepted:
        others = [other for other in others if natural_order(other) < natural_order(batch)]
    return min(others, key=natural_order, default=None)


def batch_info(record: BatchRecord) -> BatchInfo:
    """Return the record in the form that the splits use."""
    start, end = (pd.Timestamp(moment) if moment else None for moment in (record.start, record.end))
    return BatchInfo(
        key=record.batch,
        version=record.identity,
        rows=record.rows,
        labelled=record.labelled,
        start=start,
        end=end,
    )


def _whole(record: BatchRecord, labelled: Labelled | None, excluded: Excluded | None) -> BatchRecord:
    """Return the record of a batch with its later labels and its exclusion."""
    if labelled is not None and labelled.version == record.version:
        record = replace(record, labels=labelled.labels, labelled=labelled.labelled)
    return replace(record, excluded=excluded)
