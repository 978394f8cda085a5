"""References that batches are compared with: a champion's training rows and its predictions on its holdout."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from mlops_assets.declaration import Declaration
from mlops_assets.lazy import pd
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import Rows
from mlops_assets.records.typed import Records
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

    rows: "pd.DataFrame"
    times: "pd.Series | None"
    scores: "pd.DataFrame | None"
    score_times: "pd.Series | None"
    importance: Mapping[str, float] | None
    batches: int = 0


@dataclass(frozen=True)
class RecordedImportance:
    """The permutation importance of each feature of a version."""

    KIND: ClassVar[str] = "importance"

    values: Mapping[str, float]


def record_importance(records: ModelRecords, version: ModelVersion, values: Mapping[str, float]) -> None:
    """Record the permutation importance of the features of a version."""
    _importances(records).put(version.digest, RecordedImportance(dict(values)))


def recorded_importance(records: ModelRecords, version: ModelVersion) -> Mapping[str, float] | None:
    """Return the recorded permutation importance, None for a version that was never evaluated."""
    importance = _importances(records).get(version.digest)
    return None if importance is None else importance.values


def _importances(records: ModelRecords) -> Records[RecordedImportance]:
    return records.of(RecordedImportance)


def store_reference(
    records: ModelRecords, version: ModelVersion, train: Rows, holdout: Rows, predictions: "Predictions"
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


def reference_rows(model: Declaration, train: Rows) -> "tuple[pd.DataFrame, pd.Series | None]":
    """Return features and target of at most 20,000 training rows, in their order, and their times."""
    frame = train.X.assign(**{model.target: train.y})
    if len(frame) > _MOST_ROWS:
        frame = frame.sample(_MOST_ROWS, random_state=model.seed).sort_index()
    times = train.time(model.time)
    return frame, None if times is None else times.loc[frame.index]


def read_reference(records: ModelRecords, champion: ModelVersion) -> Reference:
    """Return the stored reference of this champion."""
    rows = _optional(records, "training", champion.digest)
    if rows is None:  # the version is older than references by digest
        rows = records.read_frame("reference", "training", champion.data_version)
    times = _optional(records, "times", champion.digest)
    scores = _optional(records, "scores", champion.digest)
    score_times = scores.pop(_TIME) if scores is not None and _TIME in scores else None
    importance = recorded_importance(records, champion)
    return Reference(
        rows=rows,
        times=None if times is None else times[_TIME],
        scores=scores,
        score_times=score_times,
        importance=importance,
    )


def keep_scores(
    records: ModelRecords,
    champion: ModelVersion,
    record: BatchRecord,
    scores: "pd.DataFrame",
    times: "pd.Series",
) -> None:
    """Store the champion's predictions on a batch for `with_scored_since`; at most 20,000 rows, in order of time."""
    frame = scores.assign(**{_TIME: times.to_numpy()})
    if len(frame) > _MOST_ROWS:
        frame = frame.sample(_MOST_ROWS, random_state=records.model.seed).sort_index()
    records.write_frame("scored", record.batch, _scored(champion, record), frame)


def with_scored_since(
    reference: Reference,
    records: ModelRecords,
    champion: ModelVersion,
    calm: Iterable[BatchRecord],
    begin: "pd.Timestamp",
) -> Reference:
    """Return the reference with the predictions on those `calm` batches that lie between the holdout and `begin`.

    The champion saw neither holdout nor batches in training, so its scores on both are comparable.
    """

    scores, times = reference.scores, reference.score_times
    if scores is None or times is None or not len(times):
        return reference
    end, taken = times.max(), []
    for record in calm:
        if records.has_frame("scored", record.batch, _scored(champion, record)):
            frame = records.read_frame("scored", record.batch, _scored(champion, record))
            if end < frame[_TIME].min() and frame[_TIME].max() < begin:
                taken.append(frame)
    if not taken:
        return reference
    everything = pd.concat([scores.assign(**{_TIME: times}), *taken], ignore_index=True)
    own = everything.pop(_TIME)
    return replace(reference, scores=everything, score_times=own, batches=len(taken))


def _scored(champion: ModelVersion, record: BatchRecord) -> str:
    return f"{champion.digest[:16]}-{record.content}"


def _optional(records: ModelRecords, batch: str, version: str) -> "pd.DataFrame | None":
    there = records.has_frame("reference", batch, version)  # older versions lack some of these frames
    return records.read_frame("reference", batch, version) if there else None
