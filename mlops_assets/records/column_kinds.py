"""The kinds of columns that a model learns from its batches, and how it learns them anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from mlops_assets.disk_frame import LargeFrame
from mlops_assets.lazy import pd
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.frames import DATASET, FEATURES
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.validation.schema import Schema, schema_of

if TYPE_CHECKING:
    from mlops_assets.records.store import Transaction

_MOST_BATCHES = 50

Read = Callable[[BatchRecord], "pd.DataFrame | LargeFrame | None"]


@dataclass(frozen=True)
class Kinds:
    """The recorded column -> kind, and column -> the batch that its kind was learnt from; see `Schema`."""

    KIND: ClassVar[str] = "column_kinds"

    columns: Mapping[str, str]
    origins: Mapping[str, str] = field(default_factory=dict)
    generation: int = 0

    def schema(self) -> Schema:
        """Return the kinds in the form that batches are checked against."""
        return Schema(dict(self.columns), dict(self.origins), self.generation)


def of_features(features_version: str) -> str:
    """Return the name under which the kinds of a declaration's features are recorded."""
    return f"features/{features_version}"


def recorded_kinds(records: ModelRecords, place: str) -> Schema | None:
    """Return the kinds that are recorded under a name, None if nothing is learnt yet."""
    kinds = records.of(Kinds).sound(place)
    return None if kinds is None else kinds.schema()


def kinds_for(records: ModelRecords, batch: str, place: str, read: Read) -> tuple[Schema | None, int]:
    """Return the kinds that a batch is checked against (None if nothing is learnt yet) and their record's revision.

    Kinds learnt from the batch itself, or from a batch that is no longer accepted, do not count. Then the kinds are
    learnt from the other accepted batches; `read` returns the frame of such a batch, None if there is no frame.
    """
    kinds, revision = records.of(Kinds).with_revision(place)
    if kinds is None or not kinds.columns:
        return None, revision
    origins = set(kinds.origins.values())
    if batch not in origins and all(_is_accepted(records, origin) for origin in origins):
        return kinds.schema(), revision
    others = [record for record in records.batches.all() if record.status == "accepted" and record.batch != batch]
    return learnt_from(others, read), revision


def record_kinds(
    records: ModelRecords,
    place: str,
    schema: Schema | None,
    expected: int | None = None,
    transaction: Transaction | None = None,
) -> None:
    """Record the kinds, in their own transaction if none is open. None forgets them: the next batch is a first one.

    A changed kind or a missing column is a replacement, after which rejected batches are judged anew.
    expected: the revision that the record must still have, else `StaleRecordError`.
    """
    with nullcontext(transaction) if transaction else records.transaction() as opened:
        writing = records.of(Kinds).inside(opened)
        before = writing.get(place) or Kinds({})
        columns, origins = ({}, {}) if schema is None else (schema.columns, schema.origins)
        replaced = any(kind not in ("null", columns.get(name)) for name, kind in before.columns.items())
        writing.put(place, Kinds(dict(columns), dict(origins), before.generation + replaced), expected=expected)


def learnt_anew(records: ModelRecords) -> int:
    """Return how often kinds of a dataset's columns were replaced; 0 if the record cannot be read."""
    kinds = records.of(Kinds).get(DATASET)
    return 0 if kinds is None else kinds.generation


def learnt_from(records: Iterable[BatchRecord], read: Read) -> Schema | None:
    """Return the columns that all of these batches have, each with its first known kind; None without any batch.

    Of more than 50 batches the first 50 are read: the later batches were checked against them.
    """
    frames = ((record.batch, read(record)) for record in list(records)[:_MOST_BATCHES])
    schemas = (schema_of(frame, batch) for batch, frame in frames if frame is not None)
    learnt = next(schemas, None)
    for schema in schemas:
        assert learnt is not None  # there is a first schema
        merged = learnt.merged(schema)
        columns = {name: kind for name, kind in merged.columns.items() if name in schema.columns}
        learnt = Schema(columns, {name: origin for name, origin in merged.origins.items() if name in columns})
    return learnt


def stored_dataset(records: ModelRecords) -> Read:
    """Return a function that reads the rows of an accepted batch."""

    def read(record: BatchRecord) -> pd.DataFrame | LargeFrame:
        large = records.large(DATASET, record)
        return records.dataset(record) if large is None else large

    return read


def stored_features(records: ModelRecords, features_version: str) -> Read:
    """Return a function that reads the features of a batch, None for features of another declaration."""

    def read(record: BatchRecord) -> pd.DataFrame | LargeFrame | None:
        if record.features is None or record.features_code != features_version:
            return None
        large = records.large(FEATURES, record)
        return records.features(record) if large is None else large

    return read


def _is_accepted(records: ModelRecords, batch: str) -> bool:
    record = records.batches.get(batch)
    return record is not None and record.status == "accepted"
