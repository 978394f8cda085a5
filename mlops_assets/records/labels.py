"""Labels that come later than their rows: joined from the known outcomes on the key."""

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
"""(batch, version) of all accepted batches of outcomes, in natural order: labels are made from these."""


@dataclass(frozen=True)
class OutcomesRecord:
    """The newest record of one batch of outcomes.

    `mark` is the batch's mark when it was read. It is empty until the labels of the rows are up to date, so that a
    run that dies before then is requested again.
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
        """Record what became of a batch; its earlier record is replaced."""
        self._outcomes.put(record.batch, record)

    def get(self, batch: str) -> OutcomesRecord | None:
        """Return the record of a batch, None if there is none."""
        return self._outcomes.get(batch)

    def all(self) -> list[OutcomesRecord]:
        """Return all records, in natural order of their batches."""

        found = self._outcomes.all()
        return [found[batch] for batch in sorted(found, key=natural_order)]

    def accepted(self) -> list[OutcomesRecord]:
        """Return the records of accepted batches, in natural order."""
        return [record for record in self.all() if record.status == "accepted"]

    def marks(self) -> dict[str, str]:
        """Return the recorded mark of each batch, rejected batches too."""
        return {record.batch: record.mark for record in self.all()}

    def state(self) -> State:
        """Return the batches of outcomes that labels are made from now."""
        return tuple((record.batch, str(record.version)) for record in self.accepted())


def refresh_labels(model: Declaration, storage: Storage, batches: Collection[str] | None = None) -> list[str]:
    """Join the known outcomes to these batches (all if None); record and return the batches whose labels changed.

    The labels of a batch depend only on its rows and all accepted outcomes. A batch that has all of its labels is
    joined as well, since outcomes may be corrected or withdrawn.
    """
    wanted = [
        record.batch
        for record in BatchLedger(storage, model.name).all()
        if record.status == "accepted" and (batches is None or record.batch in batches)
    ]
    return [batch for batch in wanted if _refresh(model, storage, batch)]


def read_labels(storage: Storage, model: str, batch: str, version: str) -> "pd.DataFrame":
    """Return `label` and `known_at` (n,) of all rows of a batch at a recorded version, missing where unknown."""
    return storage.read_frame(model, "labels", batch, version)


def waits_for_labels(model: Declaration, record: BatchRecord) -> str | None:
    """Return why labels keep a batch from being judged or trained on; None if enough labels are in."""
    if model.outcomes is None or record.labelled >= model.label_share * record.rows:
        return None
    share = 100 * record.labelled // max(record.rows, 1)
    return f"waiting: {share}% of its rows have labels, {model.label_share:.0%} are needed"


def unready(model: Declaration, record: BatchRecord) -> str | None:
    """Return None if a batch can be trained on, else what it waits for or why it is left out."""
    return record.ready(model.features_version) or waits_for_labels(model, record)


def unusable_outcomes(storage: Storage, model: str, batch: str) -> Mapping[str, str]:
    """Return the batches of outcomes whose keys cannot be compared with a batch's keys, each with the reason."""
    labelled = BatchLedger(storage, model).labelled(batch)
    return {} if labelled is None else labelled.unusable


def _refresh(model: Declaration, storage: Storage, batch: str) -> bool:
    """Bring the labels of one batch up to date without a lock; return whether they changed.

    A step that takes in rows writes their record, then reads the outcomes. A step that takes in outcomes writes their
    record, then reads the records of rows. Whichever step writes last sees both, so no label is missed. A slower step
    may put older labels over newer ones: each looks again after it has written, and begins anew if rows or outcomes
    have changed.
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
    """Store and record the labels that follow from `state`; return whether they changed."""

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
    """Return one label for each key over all outcomes, and (batch, reason) of outcomes whose keys are of another kind.

    Outcomes may come before rows, when the kinds of the rows' key are not known yet.
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
