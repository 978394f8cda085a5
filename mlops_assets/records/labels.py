"""Labels that come later than their rows: joined from the known outcomes on the key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import lru_cache

from mlops_assets.declaration import Declaration
from mlops_assets.lazy import pd
from mlops_assets.records.batches import BatchRecord, Labelled
from mlops_assets.records.frames import LABELS, OUTCOMES
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.outcome_frames import LABEL, UnlikeKeys, as_keys, join, latest_labels
from mlops_assets.records.outcomes import State
from mlops_assets.resources.storage import Storage
from mlops_assets.sources.data_version import data_version
from mlops_assets.validation.schema import kind_of


def refresh_labels(records: ModelRecords, batches: Collection[str] | None = None) -> list[str]:
    """Join the known outcomes to these batches (all if None); record and return the batches whose labels changed.

    The labels of a batch depend only on its rows and all accepted outcomes. A batch that has all of its labels is
    joined as well, since outcomes may be corrected or withdrawn.
    """
    accepted = [record.batch for record in records.batches.all() if record.status == "accepted"]
    return [batch for batch in accepted if (batches is None or batch in batches) and _refresh(records, batch)]


def waits_for_labels(model: Declaration, record: BatchRecord) -> str | None:
    """Return why labels keep a batch from being judged or trained on; None if enough labels are in."""
    if model.outcomes is None or record.labelled >= model.label_share * record.rows:
        return None
    share = 100 * record.labelled // max(record.rows, 1)
    return f"waiting: {share}% of its rows have labels, {model.label_share:.0%} are needed"


def unready(model: Declaration, record: BatchRecord) -> str | None:
    """Return None if a batch can be trained on, else what it waits for or why it is left out."""
    return record.ready(model.features_version) or waits_for_labels(model, record)


def unusable_outcomes(records: ModelRecords, batch: str) -> Mapping[str, str]:
    """Return the batches of outcomes whose keys cannot be compared with a batch's keys, each with the reason."""
    labelled = records.of(Labelled).get(batch)
    return {} if labelled is None else labelled.unusable


def _refresh(records: ModelRecords, batch: str) -> bool:
    """Bring the labels of one batch up to date without a lock; return whether they changed.

    A step that takes in rows writes their record, then reads the outcomes. A step that takes in outcomes writes their
    record, then reads the records of rows. Whichever step writes last sees both, so no label is missed. A slower step
    may put older labels over newer ones: both steps look again after they have written, and begin anew if rows or
    outcomes have changed.
    """
    rows, outcomes, changed = records.batches, records.outcomes, False
    while True:
        record, state = rows.get(batch), outcomes.state()
        if record is None or record.status != "accepted":
            return changed
        changed |= _label(records, record, state)
        now = rows.get(batch)
        if now is not None and now.version == record.version and outcomes.state() == state:
            return changed


def _label(records: ModelRecords, record: BatchRecord, state: State) -> bool:
    """Store and record the labels that follow from `state`; return whether they changed."""
    model = records.model
    keys = records.dataset(record, model.key)
    kinds = {name: kind_of(keys[name]) for name in model.key}
    outcomes, unusable = _outcome_labels(records.storage, model.name, tuple(kinds.items()), state)
    labels = join(as_keys(keys, kinds), outcomes)
    version = data_version(labels)
    labelled = Labelled(str(record.version), version, int(labels[LABEL].notna().sum()), dict(unusable))
    records.write_frame(LABELS, record.batch, version, labels)
    if records.of(Labelled).get(record.batch) == labelled:
        return False
    records.of(Labelled).put(record.batch, labelled)
    return True


@lru_cache(maxsize=2)
def _outcome_labels(
    storage: Storage, model: str, kinds: tuple[tuple[str, str], ...], state: State
) -> tuple[pd.DataFrame | None, tuple[tuple[str, str], ...]]:
    """Return one label for each key over all outcomes, and (batch, reason) of outcomes whose keys are of another kind.

    Outcomes may come before rows, when the kinds of the rows' key are not known yet.
    """
    frames, unusable = [], []
    for batch, version in state:
        frame = storage.read_frame(model, OUTCOMES, batch, version)
        if frame.empty:
            continue
        try:
            frames.append(frame.assign(**as_keys(frame, dict(kinds))))
        except UnlikeKeys as error:  # one bad batch of outcomes must not keep rows from being scored
            unusable.append((batch, str(error)))
    labels = latest_labels(frames, [name for name, _ in kinds]) if frames else None
    return labels, tuple(unusable)
