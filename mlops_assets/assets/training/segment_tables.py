"""What later batches of a fleet are held against: the training rows of each segment, and which model each one has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mlops_assets.assets.training.kept_segments import SEGMENTS_OF
from mlops_assets.assets.training.step import Step
from mlops_assets.decisions.segments.drift import SegmentRows, sampled_rows
from mlops_assets.lazy import np, pd
from mlops_assets.modelling.fleet import fleet_of, segment_table
from mlops_assets.modelling.fleet.segment_names import NO_SEGMENT, segment_names
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import Rows
from mlops_assets.records.segment_watch import segment_models, store_segment_models
from mlops_assets.records.versions import BACK_FROM
from mlops_assets.resources.mlflow.model_version import ModelVersion

_KIND, _ROWS, _POSITIONS = "reference", "segment_rows", "segment_positions"


def store_segments(step: Step, version: ModelVersion, fitted: Any, train: Rows) -> None:
    """Store the reference and the models of the segments of a version; nothing for a version that is not a fleet."""
    fleet = fleet_of(fitted)
    if fleet is None:
        return
    names = segment_names(train.X, fleet.by)
    segments = sorted(set(names) - {NO_SEGMENT})
    number = pd.Index(segments, dtype=object).get_indexer(names).astype(np.int64)
    sample = sampled_rows(train.X, number, len(segments), step.model.seed)
    positions = pd.DataFrame({"position": sample.position})
    step.records.write_frame(_KIND, _ROWS, version.digest, sample.X)
    step.records.write_frame(_KIND, _POSITIONS, version.digest, positions)
    store_segment_models(step.records, version, _models(fleet, number, segments, _before(step, version)))


@dataclass(frozen=True)
class SegmentReference:
    """The training rows of segments, at most a sample of each, in order of time, with the name (n,) of each one's."""

    X: pd.DataFrame
    names: np.ndarray
    position: np.ndarray

    def of(self, segments: list[str], by: str) -> SegmentRows:
        """Return the rows of these segments, without the column that names them."""
        number = pd.Index(segments, dtype=object).get_indexer(pd.Index(self.names)).astype(np.int64)
        kept = number >= 0
        X = self.X[kept].drop(columns=by).reset_index(drop=True)
        return SegmentRows(X, number[kept], self.position[kept])


def segment_reference(records: ModelRecords, version: ModelVersion, by: str) -> SegmentReference | None:
    """Return what `store_segments` stored of the training rows; None for a version of an earlier release."""
    if not records.has_frame(_KIND, _POSITIONS, version.digest):
        return None
    X = records.read_frame(_KIND, _ROWS, version.digest)
    position = records.read_frame(_KIND, _POSITIONS, version.digest)["position"].to_numpy()
    return SegmentReference(X, segment_names(X, by), position)


def _before(step: Step, version: ModelVersion) -> pd.DataFrame | None:
    """Return the models of the champion that some segments keep the models of."""
    number = version.tags.get(SEGMENTS_OF, version.tags.get(BACK_FROM))
    return None if number is None else segment_models(step.records, step.versions.version(int(number)))


def _models(fleet: Any, number: np.ndarray, segments: list[str], before: pd.DataFrame | None) -> pd.DataFrame:
    """Return a row for each segment: its model, whether it was tried, whether that failed, how long it is kept."""
    table = segment_table(fleet).set_index("segment")
    names = table.index
    tried = pd.Series(fleet.tried(number, len(segments)), index=segments).reindex(names, fill_value=False)
    kept_for = table["kept"].astype(np.int64)
    if before is not None and len(before):
        kept_for += before.set_index("segment")["kept_for"].reindex(names, fill_value=0) * table["kept"]
    columns = {"model": table["model"], "tried": tried, "failed": names.isin(list(fleet.failed_)), "kept_for": kept_for}
    return pd.DataFrame(columns).rename_axis("segment").reset_index()
