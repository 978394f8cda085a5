"""Training sets on record, and how many of their rows fit into memory."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from mlops_assets.errors import DamagedRecordError, TrainingError
from mlops_assets.modelling.manifest import BatchInfo, Manifest, Sample
from mlops_assets.modelling.sampling import shares
from mlops_assets.records.frames import FEATURES
from mlops_assets.records.model_records import BYTES_OF_WIDEST_ROW, ModelRecords
from mlops_assets.resources.storage import Storage

TRAINING_SET = "training_set"
"""The documents in storage that name the batches of a training set, by its data version."""

_BYTES_OF_VALUE = 8


def read_manifest(records: ModelRecords, version: str) -> Manifest:
    """Return a recorded training set; raise `TrainingError` if its record is gone."""
    manifest = _manifest(records.storage, records.name, version)
    if manifest is None:
        raise _not_recorded(records.storage, records.name, version)
    return manifest


def kept_manifest(records: ModelRecords, version: str) -> Manifest:
    """Return as `read_manifest`; the manifests read last are kept, since a version never changes."""
    return _kept_manifest(records.storage, records.name, version)


@lru_cache(maxsize=64)
def _kept_manifest(storage: Storage, model: str, version: str) -> Manifest:
    manifest = _manifest(storage, model, version)
    if manifest is None:
        raise _not_recorded(storage, model, version)
    return manifest


def _not_recorded(storage: Storage, model: str, version: str) -> TrainingError:
    place = storage.root
    return TrainingError(f"{model}: training set {version} is not recorded in {place}: materialise training_set")


@lru_cache(maxsize=1_000)
def batches_of_manifest(storage: Storage, model: str, version: str) -> frozenset[str]:
    """Return the batches of a recorded training set, holdout included; empty if it is not recorded.

    The version is a hash of the content, so each training set is read once.
    """
    manifest = _manifest(storage, model, version) if version else None
    return frozenset() if manifest is None else frozenset(batch.key for batch in (*manifest.train, *manifest.holdout))


def _manifest(storage: Storage, model: str, version: str) -> Manifest | None:
    values = storage.read_document(model, TRAINING_SET, version)
    try:
        return None if values is None else Manifest.from_dict(values)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DamagedRecordError(
            f"{storage.document_place(model, TRAINING_SET, version)} is not a training set ({type(error).__name__}: "
            f"{error}): restore it, or remove it and materialise {model}/training_set anew"
        ) from error


def with_sample(records: ModelRecords, manifest: Manifest) -> Manifest:
    """Return the manifest; where its rows exceed `limits.memory_mb`, its batches say which share of them is used.

    The manifest is recorded with these shares, so a later change of the limit does not change which rows it names.
    The size of a row is that of the batch with the most rows.
    """
    most = records.model.source.limits.memory_mb
    batches = (*manifest.train, *manifest.holdout)
    rows = sum(batch.rows for batch in batches)
    if rows * BYTES_OF_WIDEST_ROW <= most * 1e6:  # no file need be opened
        return manifest
    mb_of_row = _mb_of_row(records, max(batches, key=lambda batch: batch.rows))
    if rows * mb_of_row <= most:
        return manifest
    by_role = shares(manifest.rows("train"), manifest.rows("holdout"), int(most / mb_of_row))
    train, holdout = (
        tuple(
            replace(batch, sample=Sample(share=share, seed=records.model.seed, role=role, memory_mb=most))
            for batch in getattr(manifest, role)
        )
        for role, share in zip(("train", "holdout"), by_role, strict=True)
    )
    return replace(manifest, train=train, holdout=holdout)


def _mb_of_row(records: ModelRecords, batch: BatchInfo) -> float:
    """Return the MB that a row of features, label and identifying columns takes in memory, at least."""
    model = records.model
    size = records.storage.frame_size(records.name, FEATURES, batch.key, batch.version.split("-")[1])
    beside = {model.target, model.time, model.group, *model.key, *model.slices} - {None}
    return size.mb / max(size.rows, 1) + len(beside) * _BYTES_OF_VALUE / 1e6
