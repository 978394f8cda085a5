"""Whether the rows that a version was fitted on are unchanged, in storage and in the source."""

from __future__ import annotations

from dataclasses import replace

from mlops_assets.assets.batch.features import earlier_rows, known_features, learnt_kinds
from mlops_assets.assets.batch.intake import unused
from mlops_assets.errors import MlopsAssetsError, SourceError, SourceUnavailableError, StorageError
from mlops_assets.lazy import pd
from mlops_assets.modelling.agreement import Difference, Enters
from mlops_assets.modelling.features import compute
from mlops_assets.modelling.manifest import BatchInfo, Manifest
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.column_kinds import recorded_kinds
from mlops_assets.records.frames import DATASET, FEATURES
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.storage import Storage
from mlops_assets.sources.data_version import data_version
from mlops_assets.sources.reading import read
from mlops_assets.text import listed
from mlops_assets.validation.plain_columns import plain_columns
from mlops_assets.validation.schema import normalise
from mlops_assets.validation.where import rows_of

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
            now, rows = _stored(records, kind, batch.key, version)
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
        frame = records.read_frame(DATASET, batch.key, versions["dataset"])
        history = earlier_rows(records, frame, ledger.of_manifest[batch.key], ledger)
        table = known_features(model, compute(model.features, frame, history, model.not_features), learnt)
        now, then = data_version(table), versions["features"]
        computed[batch.key] = replace(batch, version="-".join({**versions, "features": now}.values()))
        place.write_frame(model.name, FEATURES, batch.key, now, table)
        if now != then:
            changed[batch.key] = _unlike(records.read_frame(FEATURES, batch.key, then), table)
    train, holdout = (tuple(computed[batch.key] for batch in role) for role in (manifest.train, manifest.holdout))
    return replace(manifest, train=train, holdout=holdout), changed


def _versions(batch: BatchInfo) -> dict[str, str]:
    """Return the versions of a batch's stored frames by kind; without labels where they come with the rows."""
    return dict(zip(KINDS, batch.version.split("-"), strict=False))


def _unlike(then: pd.DataFrame, now: pd.DataFrame) -> list[str]:
    """Return the columns that differ or that one frame lacks; the index is ignored."""
    one, other = (frame.reset_index(drop=True) for frame in (then, now))
    names = dict.fromkeys([*one.columns, *other.columns])
    return [str(name) for name in names if name not in one or name not in other or not one[name].equals(other[name])]


def _stored(records: ModelRecords, kind: str, batch: str, version: str) -> tuple[str, int | None]:
    """Return the version of a stored frame by its content, and its number of rows."""
    if not records.has_frame(kind, batch, version):
        return "gone", None
    try:
        frame = records.read_frame(kind, batch, version)
    except StorageError:  # whether the frame is there is not known
        raise
    except MlopsAssetsError:
        return "unreadable", None
    return data_version(frame), len(frame)


def _versions_in_source(records: ModelRecords, batch: str) -> list[str]:
    """Return the versions of the source's rows, as they are and with the recorded types."""
    model = records.model
    frame, _ = plain_columns(rows_of(read(model.source, batch), model.where), unused(model))
    if model.outcomes is not None and model.target in frame.columns:
        frame = frame.drop(columns=model.target)
    recorded = recorded_kinds(records, DATASET)
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
