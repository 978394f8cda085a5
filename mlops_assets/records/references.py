"""References that batches are compared with: a champion's training rows and its predictions on its holdout."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from mlops_assets.declaration import Declaration
from mlops_assets.lazy import pd
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import Rows
from mlops_assets.resources.mlflow.model_version import ModelVersion

_MOST_ROWS = 20_000
_TIME = "time"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """At most 20,000 training rows in order of time: features and target in `rows`, `times` where rows have one.

    `scores` holds the champion's predictions on its holdout (columns prediction and score): on rows that it was
    trained on it is surer. It is None for versions of releases that did not store scores. `batches` counts the batches
    scored since whose scores are included, see `with_scored_since`.
    """

    rows: pd.DataFrame
    times: pd.Series | None
    scores: pd.DataFrame | None
    score_times: pd.Series | None
    importance: Mapping[str, float] | None
    batches: int = 0


@dataclass(frozen=True)
class RecordedImportance:
    """The permutation importance of each feature of a version."""

    KIND: ClassVar[str] = "importance"

    values: Mapping[str, float]


def record_importance(records: ModelRecords, version: ModelVersion, values: Mapping[str, float]) -> None:
    """Record the permutation importance of the features of a version."""
    records.of(RecordedImportance).put(version.digest, RecordedImportance(dict(values)))


def recorded_importance(records: ModelRecords, version: ModelVersion) -> Mapping[str, float] | None:
    """Return the recorded permutation importance, None for a version that was never evaluated."""
    importance = records.of(RecordedImportance).get(version.digest)
    return None if importance is None else importance.values


def store_reference(
    records: ModelRecords, version: ModelVersion, train: Rows, holdout: Rows, predictions: Predictions
) -> None:
    """Store the reference that later batches are compared with."""
    model = records.model
    frame, times = reference_rows(model, train)
    scores = predictions.frame()
    records.write_frame("reference", "training", version.digest, frame)
    if model.time and times is not None:
        records.write_frame("reference", "times", version.digest, times.to_frame(_TIME))
        scores[_TIME] = holdout.about[model.time].to_numpy()
    records.write_frame("reference", "scores", version.digest, scores)


def reference_rows(model: Declaration, train: Rows) -> tuple[pd.DataFrame, pd.Series | None]:
    """Return features and target of at most 20,000 training rows, in their order, and their times."""
    frame = _sample(train.X.assign(**{model.target: train.y}), model.seed)
    times = train.time(model.time)
    return frame, None if times is None else times.loc[frame.index]


def read_reference(records: ModelRecords, champion: ModelVersion) -> Reference:
    """Return the stored reference of this champion."""
    # versions of earlier releases lack some of these frames
    rows, times, scores = (
        _optional(records, "reference", part, champion.digest) for part in ("training", "times", "scores")
    )
    if rows is None:  # the version is older than references by digest
        rows = records.read_frame("reference", "training", champion.data_version)
    score_times = scores.pop(_TIME) if scores is not None and _TIME in scores else None
    return Reference(
        rows=rows,
        times=None if times is None else times[_TIME],
        scores=scores,
        score_times=score_times,
        importance=recorded_importance(records, champion),
    )


def keep_scores(
    records: ModelRecords, champion: ModelVersion, record: BatchRecord, scores: pd.DataFrame, times: pd.Series
) -> None:
    """Store the champion's predictions on a batch for `with_scored_since`; at most 20,000 rows, in order of time."""
    frame = _sample(scores.assign(**{_TIME: times.to_numpy()}), records.model.seed)
    records.write_frame("scored", record.batch, _scored(champion, record), frame)


def with_scored_since(
    reference: Reference,
    records: ModelRecords,
    champion: ModelVersion,
    calm: Iterable[BatchRecord],
    begin: pd.Timestamp,
) -> Reference:
    """Return the reference with the predictions on those `calm` batches that lie between the holdout and `begin`.

    The champion saw neither holdout nor batches in training, so its scores on both are comparable.
    """
    scores, times = reference.scores, reference.score_times
    if scores is None or times is None or not len(times):
        return reference
    end = times.max()
    frames = (_optional(records, "scored", record.batch, _scored(champion, record)) for record in calm)
    later = [frame for frame in frames if frame is not None and end < frame[_TIME].min() and frame[_TIME].max() < begin]
    if not later:
        return reference
    scores = pd.concat([scores.assign(**{_TIME: times}), *later], ignore_index=True)
    score_times = scores.pop(_TIME)
    return replace(reference, scores=scores, score_times=score_times, batches=len(later))


def _sample(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    return frame.sample(_MOST_ROWS, random_state=seed).sort_index() if len(frame) > _MOST_ROWS else frame


def _scored(champion: ModelVersion, record: BatchRecord) -> str:
    return f"{champion.digest[:16]}-{record.content}"


def _optional(records: ModelRecords, kind: str, batch: str, version: str) -> pd.DataFrame | None:
    return records.read_frame(kind, batch, version) if records.has_frame(kind, batch, version) else None
