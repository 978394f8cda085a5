"""Labels that come later than their rows: joined from the outcomes on the key, as far as they are known."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from mlops_assets.declaration import Declaration
from mlops_assets.lazy import pd
from mlops_assets.records.batches import BatchLedger, BatchRecord, Labelled
from mlops_assets.records.outcome_frames import LABEL, UnlikeKeys, as_keys, join, latest_labels
from mlops_assets.records.typed import Records
from mlops_assets.resources.storage import Storage
from mlops_assets.sources.data_version import data_version
from mlops_assets.sources.keys import natural_order
from mlops_assets.validation.schema import kind_of

State = tuple[tuple[str, str], ...]
"""(batch, version) of all accepted batches of outcomes, in their natural order: what labels are made from."""


@dataclass(frozen=True)
class OutcomesRecord:
    """The last look at one batch of outcomes.

    `mark` is the state of the source that was read; it is empty while the labels of the rows are still being brought
    up to date, so that a run which dies there is asked for again.
    """

    batch: str
    status: Literal["accepted", "rejected"]
    run_id: str
    version: str | None = None
    rows: int = 0
    mark: str = ""
    reasons: tuple[str, ...] = ()


class OutcomesLedger:
    """The records of one model's batches of outcomes."""

    def __init__(self, storage: Storage, model: str) -> None:
        self._outcomes = Records(storage, model, "outcomes", OutcomesRecord)

    def put(self, record: OutcomesRecord) -> None:
        """Record what became of a batch; what was recorded of it before is replaced."""
        self._outcomes.put(record.batch, record)

    def get(self, batch: str) -> OutcomesRecord | None:
        """The record of a batch, or None when it was never looked at."""
        return self._outcomes.get(batch)

    def all(self) -> list[OutcomesRecord]:
        """All records, in natural order of their batches."""

        found = self._outcomes.all()
        return [found[batch] for batch in sorted(found, key=natural_order)]

    def accepted(self) -> list[OutcomesRecord]:
        """The records of accepted batches, in natural order."""
        return [record for record in self.all() if record.status == "accepted"]

    def marks(self) -> dict[str, str]:
        """Batch to the mark of the last look at it, rejected ones too."""
        return {record.batch: record.mark for record in self.all()}

    def state(self) -> State:
        """What labels are made from now."""
        return tuple((record.batch, str(record.version)) for record in self.accepted())


def refresh_labels(model: Declaration, storage: Storage, batches: Collection[str] | None = None) -> list[str]:
    """Join the outcomes known so far to these batches (all where None) and record which labels each has.

    The labels of a batch depend on nothing but its rows and all accepted outcomes: one that had all of its labels is
    looked at as well, since outcomes may be corrected or withdrawn. Returns the batches whose labels changed.
    """
    wanted = [
        record.batch
        for record in BatchLedger(storage, model.name).all()
        if record.status == "accepted" and (batches is None or record.batch in batches)
    ]
    return [batch for batch in wanted if _refresh(model, storage, batch)]


def read_labels(storage: Storage, model: str, batch: str, version: str) -> "pd.DataFrame":
    """`label` and `known_at` (n,) of all rows of a batch, missing where none is known, at a recorded version."""
    return storage.read_frame(model, "labels", batch, version)


def waits_for_labels(model: Declaration, record: BatchRecord) -> str | None:
    """Why a batch cannot be judged on or trained on yet; None where labels come with the rows or enough are in."""
    if model.outcomes is None or record.labelled >= model.label_share * record.rows:
        return None
    share = 100 * record.labelled // max(record.rows, 1)
    return f"waiting: {share}% of its rows have labels, {model.label_share:.0%} are needed"


def unready(model: Declaration, record: BatchRecord) -> str | None:
    """None when a batch can be trained on, else what it waits for or why it is out."""
    return record.ready(model.features_version) or waits_for_labels(model, record)


def unusable_outcomes(storage: Storage, model: str, batch: str) -> Mapping[str, str]:
    """Batches of outcomes whose keys could not be compared with those of a batch, with the reason."""
    labelled = BatchLedger(storage, model).labelled(batch)
    return {} if labelled is None else labelled.unusable


def _refresh(model: Declaration, storage: Storage, batch: str) -> bool:
    """Bring the labels of one batch up to date, without a lock.

    A step that takes in rows writes their record and then reads the outcomes; one that takes in outcomes writes theirs
    and then reads the records of the rows. Whichever writes last sees the other's, so no label is missed. What is left
    is that a slower one puts its older labels over newer ones: so each looks again after it has written, and begins
    anew where the rows or the outcomes are not those that it started from.
    """
    rows, outcomes, changed = BatchLedger(storage, model.name), OutcomesLedger(storage, model.name), False
    while True:
        record, state = rows.get(batch), outcomes.state()
        if record is None or record.status != "accepted":
            return changed
        changed |= _label(model, storage, record, state)
        now = rows.get(batch)
        if now is not None and now.version == record.version and outcomes.state() == state:
            return changed


def _label(model: Declaration, storage: Storage, record: BatchRecord, state: State) -> bool:
    """Store the labels that follow from `state` and point to them; whether that changed anything."""

    keys = storage.read_frame(model.name, "dataset", record.batch, str(record.version), model.key)
    kinds = {name: kind_of(keys[name]) for name in model.key}
    known, unusable = _known(storage.root, model.name, tuple(kinds.items()), state)
    labels = join(as_keys(keys, kinds), known)
    version = data_version(labels)
    labelled = Labelled(str(record.version), version, int(labels[LABEL].notna().sum()), dict(unusable))
    storage.write_frame(model.name, "labels", record.batch, version, labels)
    return BatchLedger(storage, model.name).put_labelled(record.batch, labelled)


@lru_cache(maxsize=2)
def _known(
    root: str, model: str, kinds: tuple[tuple[str, str], ...], state: State
) -> "tuple[pd.DataFrame | None, tuple[tuple[str, str], ...]]":
    """One label for each key over all outcomes, and (batch, why) of those whose keys are unlike the rows' keys.

    The kinds of the rows' key may not have been known when the outcomes came, as outcomes may come first.
    """

    frames, unusable = [], []
    for batch, version in state:
        frame = Storage(root=root).read_frame(model, "outcomes", batch, version)
        if frame.empty:
            continue
        try:
            frames.append(frame.assign(**as_keys(frame, dict(kinds))))
        except UnlikeKeys as error:  # one bad batch of outcomes must not keep rows from being scored
            unusable.append((batch, str(error)))
    labels = latest_labels(frames, [name for name, _ in kinds]) if frames else None
    return labels, tuple(unusable)
