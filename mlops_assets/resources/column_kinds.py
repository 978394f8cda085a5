"""The kinds of columns that a model has learnt from its batches, and how they are learnt anew."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from mlops_assets.errors import DamagedRecordError
from mlops_assets.resources.batch_ledger import BatchLedger, BatchRecord
from mlops_assets.resources.storage import Storage

if TYPE_CHECKING:
    import pandas as pd

    from mlops_assets.validation.schema import Schema

DATASET = ("schema",)
"""Where the kinds of a dataset's columns are kept; those of its features stand under FEATURES and their version."""
FEATURES = "feature_schema"
_MOST_BATCHES = 50

Read = Callable[[BatchRecord], "pd.DataFrame | None"]


def kinds_for(storage: Storage, model: str, batch: str, place: tuple[str, ...], read: Read) -> "Schema | None":
    """The kinds that a batch is held against; None where nothing is learnt yet.

    A batch is not held against what was learnt from itself, nor from one that is not accepted any more: then the kinds
    are those of the other accepted batches. `read` gives the frame of such a batch, None where it has none.
    """
    from mlops_assets.validation.schema import Schema

    recorded = storage.read_json(model, *place)
    if recorded is None:
        return None
    schema = Schema.from_dict(recorded)
    if not schema.columns:
        return None
    origins = set(schema.origins.values())
    if batch not in origins and all(_is_accepted(storage, model, each) for each in origins):
        return schema
    others = [each for each in BatchLedger(storage, model).all() if each.status == "accepted" and each.batch != batch]
    return learnt_from(others, read)


def record_kinds(storage: Storage, model: str, place: tuple[str, ...], schema: "Schema | None") -> int:
    """Record what was learnt; how often kinds were replaced by others by now. None forgets: the next batch is a first.

    A generation counts where a kind that was known, or a column, is not what it was: rejected batches are judged anew.
    """
    from mlops_assets.validation.schema import Schema

    recorded = storage.read_json(model, *place)
    before = Schema({}) if recorded is None else Schema.from_dict(recorded)
    now = Schema({}) if schema is None else schema
    replaced = any(kind not in ("null", now.columns.get(name)) for name, kind in before.columns.items())
    generation = before.generation + replaced
    storage.write_json(model, *place, value=replace(now, generation=generation).to_dict())
    return generation


def learnt_anew(storage: Storage, model: str) -> int:
    """How often kinds of a dataset's columns were replaced; 0 where the record cannot be read, which its step says."""
    try:
        recorded = storage.read_json(model, *DATASET)
    except DamagedRecordError:
        return 0
    return int(recorded.get("generation", 0)) if isinstance(recorded, dict) else 0


def learnt_from(records: Iterable[BatchRecord], read: Read) -> "Schema | None":
    """The columns that all of these batches have, each with the kind that the first of them knows; None without any.

    Of more than 50 batches the first 50 are read: the later ones were held against them.
    """
    from mlops_assets.validation.schema import Schema, schema_of

    learnt: Schema | None = None
    for record in list(records)[:_MOST_BATCHES]:
        frame = read(record)
        if frame is None:
            continue
        schema = schema_of(frame, record.batch)
        if learnt is None:
            learnt = schema
            continue
        both = learnt.merged(schema)
        columns = {name: kind for name, kind in both.columns.items() if name in schema.columns}
        learnt = Schema(columns, {name: origin for name, origin in both.origins.items() if name in columns})
    return learnt


def stored_dataset(storage: Storage, model: str) -> Read:
    """Reads the rows of an accepted batch."""
    return lambda record: storage.read_frame(model, "dataset", record.batch, str(record.version))


def stored_features(storage: Storage, model: str, features_version: str) -> Read:
    """Reads the features of a batch where they are of this declaration."""

    def read(record: BatchRecord) -> "pd.DataFrame | None":
        if record.features is None or record.features_code != features_version:
            return None
        return storage.read_frame(model, "features", record.batch, record.features)

    return read


def _is_accepted(storage: Storage, model: str, batch: str) -> bool:
    record = BatchLedger(storage, model).get(batch)
    return record is not None and record.status == "accepted"
