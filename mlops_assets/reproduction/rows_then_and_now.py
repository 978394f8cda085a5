"""Whether the rows that a version was fitted on are unchanged, in storage and in the source."""

from __future__ import annotations

from dataclasses import replace

from mlops_assets.assets.batch.features import computed_features, earlier_rows, known_features, learnt_kinds
from mlops_assets.assets.batch.intake import unused
from mlops_assets.disk_frame import LargeFrame, StoredFrame, without
from mlops_assets.errors import MlopsAssetsError, SourceError, SourceUnavailableError, StorageError
from mlops_assets.lazy import pd
from mlops_assets.modelling.agreement import Difference, Enters
from mlops_assets.modelling.manifest import BatchInfo, Manifest
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.column_kinds import recorded_kinds
from mlops_assets.records.frames import DATASET, FEATURES
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.storage import Storage
from mlops_assets.sources.data_version import data_version
from mlops_assets.sources.reading import read_rows
from mlops_assets.text import listed
from mlops_assets.validation.plain_columns import plain_columns, plain_on_disk
from mlops_assets.validation.schema import normalise, normalise_on_disk
from mlops_assets.validation.where import kept_rows, rows_of

KINDS = ("dataset", "features", "labels")


class RecordedBatches(BatchLedger):
    """The ledger with the batches of a manifest as recorded there: their rows in the versions that it names."""

    def __init__(self, records: ModelRecords, manifest: Manifest) -> None:
        super().__init__(records.storage, records.name)
        self.of_manifest = {batch.key: _record(batch) for batch in (*manifest.train, *manifest.holdout)}

    def records(self) -> dict[str, BatchRecord]:
        """Return all records by batch."""
        return {**super().records(), **self.of_manifest}


def stored_differences(records: ModelRecords, manifest: Manifest) -> tuple[list[Difference], bool]:
    """Return where stored frames differ from the manifest, and whether the rows of all batches exist."""
    differences, whole = [], True
    for batch in (*manifest.train, *manifest.holdout):
        for kind, version in _versions(batch).items():
            now, rows = _stored(records, kind, batch, version)
            whole &= rows == batch.rows
            if now != version:
                enters: Enters = "both" if kind == "dataset" else "fit"
                note = f"{records.storage.frame_place(records.name, kind, batch.key, version)}: restore it"
                if rows not in (None, batch.rows):
                    note = f"{rows:,} rows in place of {batch.rows:,}; {note}"
                what = f"batch {batch.key}: {kind}"
                differences.append(Difference("data", what, then=version, now=now, note=note, enters=enters))
    return differences, whole


def source_differences(records: ModelRecords, manifest: Manifest) -> tuple[list[Difference], list[str]]:
    """Return the batches whose rows in the source changed, and notes of those that the source cannot give."""
    if records.model.source.asset_key is not None:
        return [], [f"not compared with the source: only a run can read it. {records.model.source.describe()}"]
    differences: list[Difference] = []
    unread: dict[str, str] = {}
    for batch in (*manifest.train, *manifest.holdout):
        then = _versions(batch)["dataset"]
        try:
            now = _versions_in_source(records, batch.key)
        except SourceUnavailableError as error:  # the source would not give the other batches either
            return differences, [f"not compared with the source from batch {batch.key} on: {error}"]
        except SourceError as error:
            unread[batch.key] = str(error)
            continue
        if then not in now:
            note = "the source holds other rows now; the refit used the stored rows"
            differences.append(
                Difference("data", f"batch {batch.key}: source", then=then, now=now[-1], note=note, enters="nothing")
            )
    reasons = f"batches {listed(unread)}: {next(iter(unread.values()), '')}"
    return differences, [f"not compared with the source, which cannot be read: {reasons}"] if unread else []


def features_anew(records: ModelRecords, manifest: Manifest, place: Storage) -> tuple[Manifest, dict[str, list[str]]]:
    """Compute the features of all batches from their stored rows and keep them in `place`.

    Return the manifest that names them and, for each batch whose features changed, the columns that differ. Raise
    `FeaturesError` if the function fails.
    """
    model, ledger = records.model, RecordedBatches(records, manifest)
    computed: dict[str, BatchInfo] = {}
    changed: dict[str, list[str]] = {}
    learnt = learnt_kinds(records, "")
    for batch in (*manifest.train, *manifest.holdout):
        versions = _versions(batch)
        frame = _stored_frame(records, DATASET, batch, versions["dataset"])
        history = earlier_rows(records, frame, ledger.of_manifest[batch.key], ledger)
        table = known_features(model, computed_features(model, frame, history), learnt)
        now, then = data_version(table), versions["features"]
        computed[batch.key] = replace(batch, version="-".join({**versions, "features": now}.values()))
        if isinstance(table, LargeFrame):
            place.write_chunks(model.name, FEATURES, batch.key, now, table.chunks(), table.typical_row())
        else:
            place.write_frame(model.name, FEATURES, batch.key, now, table)
        if now != then:
            changed[batch.key] = _unlike(_stored_frame(records, FEATURES, batch, then), table)
    train, holdout = (tuple(computed[batch.key] for batch in role) for role in (manifest.train, manifest.holdout))
    return replace(manifest, train=train, holdout=holdout), changed


def _versions(batch: BatchInfo) -> dict[str, str]:
    """Return the versions of a batch's stored frames by kind; without labels where they come with the rows."""
    return dict(zip(KINDS, batch.version.split("-"), strict=False))


def _unlike(then: pd.DataFrame | LargeFrame, now: pd.DataFrame | LargeFrame) -> list[str]:
    """Return the columns that differ or that one frame lacks; the index is ignored."""
    one, other = (frame if isinstance(frame, LargeFrame) else frame.reset_index(drop=True) for frame in (then, now))
    names = dict.fromkeys([*one.columns, *other.columns])
    shared = set(one.columns) & set(other.columns)
    return [str(name) for name in names if name not in shared or not one[name].equals(other[name])]


def _stored(records: ModelRecords, kind: str, batch: BatchInfo, version: str) -> tuple[str, int | None]:
    """Return the version of a stored frame by its content, and its number of rows."""
    if not records.has_frame(kind, batch.key, version):
        return "gone", None
    try:
        frame = _stored_frame(records, kind, batch, version)
        return data_version(frame), len(frame)
    except StorageError:  # whether the frame is there is not known
        raise
    except MlopsAssetsError:
        return "unreadable", None


def _stored_frame(records: ModelRecords, kind: str, batch: BatchInfo, version: str) -> pd.DataFrame | StoredFrame:
    """Return a stored frame: in memory, or by chunk where it does not fit."""
    large = records.large_frame(kind, batch.key, version, batch.rows)
    return records.read_frame(kind, batch.key, version) if large is None else large


def _versions_in_source(records: ModelRecords, batch: str) -> list[str]:
    """Return the versions of the source's rows, as they are and with the recorded types."""
    model, recorded = records.model, recorded_kinds(records, DATASET)
    rows, labels = read_rows(model.source, batch), [model.target] if model.outcomes is not None else []
    if isinstance(rows, LargeFrame):
        on_disk, _ = plain_on_disk(without(rows, labels), unused(model), kept_rows(rows, model.where))
        as_is = data_version(on_disk)
        normalise_on_disk(on_disk, recorded)
        return [as_is, data_version(on_disk)]
    frame, _ = plain_columns(rows_of(rows, model.where), unused(model))
    frame = without(frame, labels)
    normal = normalise(frame, recorded) if recorded else frame
    return [data_version(frame), data_version(normal)]


def _record(batch: BatchInfo) -> BatchRecord:
    versions = _versions(batch)
    return BatchRecord(
        batch=batch.key,
        status="accepted",
        run_id="",
        version=versions["dataset"],
        rows=batch.rows,
        labelled=batch.labelled,
        start=None if batch.start is None else batch.start.isoformat(),
        end=None if batch.end is None else batch.end.isoformat(),
        features=versions["features"],
        labels=versions.get("labels"),
    )
