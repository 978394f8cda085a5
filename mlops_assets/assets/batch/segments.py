"""The segments of a fleet, watched one by one as batches and their labels arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_assets.assets.batch.report import unknown
from mlops_assets.assets.shared.metadata import metadata, table
from mlops_assets.assets.training.gates import Case
from mlops_assets.assets.training.segment_tables import segment_reference
from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.segments.decay import segment_decay
from mlops_assets.decisions.segments.drift import sampled_rows, segment_drift
from mlops_assets.decisions.segments.window import newest_rows, share_with
from mlops_assets.declaration import Declaration
from mlops_assets.lazy import np, pd
from mlops_assets.modelling.fleet import loss_metric, losses_of
from mlops_assets.modelling.fleet.segment_names import NO_SEGMENT, segment_names
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import read_sampled
from mlops_assets.records.segment_watch import SegmentWatches, WatchKind, current_board
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.statistics.segment_means import FEWEST_ROWS
from mlops_assets.text import shown

DECAY_CHECK = {"no_segment_decay": "No segment loses more than on the holdout."}
DRIFT_CHECK = {"no_segment_drift": "No segment has other features than its training rows."}
ON_BOARD = 20
"""Segments of the board that an asset shows."""

_ENOUGH_LOSSES, _MOST_LOSSES = 100, 11
_ENOUGH_ROWS, _MOST_ROWS = 40, 4
_ENOUGH_SEGMENTS = 0.9
_ROWS = 500_000
_WORST = 3


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What is shown, recorded and checked of the segments on a batch; nothing of a model that is not a fleet."""

    shown: dict[str, Any] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    outcomes: tuple[CheckOutcome, ...] = ()


def segment_checks(model: Declaration, kind: WatchKind) -> dict[str, str]:
    """Return the check of a fleet's segments, {name: description}; {} for one model."""
    if model.fleet is None:
        return {}
    return DECAY_CHECK if kind == "decay" else DRIFT_CHECK


def watch_decay(
    records: ModelRecords, case: Case, record: BatchRecord, X: pd.DataFrame, y: np.ndarray, predictions: Predictions
) -> Watched:
    """Compare the losses of each segment on labelled rows (n,), in order of time, with those on the holdout."""
    fleet, watches = records.model.fleet, SegmentWatches(records, "decay", case.version)
    if fleet is None:
        return Watched()
    metric = loss_metric(predictions, next(iter(records.model.metrics), None))
    own = _losses(X, fleet.by, losses_of(metric, y, predictions))
    frames = [own]
    for number, (_, watch) in enumerate(watches.before(record)):
        if number == _MOST_LOSSES or _enough(frames, _ENOUGH_LOSSES):
            break
        frames.append(watches.losses(watch))
    rows = _newest(frames, _ENOUGH_LOSSES)
    holdout = _losses(case.holdout.X, fleet.by, losses_of(metric, case.holdout.y.to_numpy(), case.predictions))
    names = sorted(set(rows["segment"]))
    index = pd.Index(names, dtype=object)
    sides = [
        (side["loss"].to_numpy()[number >= 0], number[number >= 0])
        for side in (holdout, rows)
        for number in [index.get_indexer(side["segment"]).astype(np.int64)]
    ]
    found = segment_decay(sides[0], sides[1], names, metric.from_mean, fleet.false_share, records.model.seed)
    found = watches.put(record, found, own)
    worst = found[found["alarm"]].sort_values(["p", "ratio"], ascending=[True, False]).head(_WORST)
    details = [
        f"{shown(row.segment)} ({metric.name} {row.ratio:.2g} x that on the holdout, p {row.adjusted:.1g})"
        for row in worst.itertuples()
    ]
    return _watched(records, case.version, "decay", found, details)


def watch_drift(records: ModelRecords, champion: ModelVersion, record: BatchRecord, X: pd.DataFrame) -> Watched:
    """Compare the features (n, columns) of each segment, in order of time, with those of its training rows."""
    fleet, watches = records.model.fleet, SegmentWatches(records, "drift", champion)
    if fleet is None:
        return Watched()
    reference = segment_reference(records, champion, fleet.by)
    if reference is None or fleet.by not in X.columns:
        reason = f"version {champion.version} was trained before segments were watched: train it again"
        reason = reason if reference is None else f"the features have no column {fleet.by!r}, which names the segment"
        return Watched(outcomes=(unknown("no_segment_drift", reason),))
    if len(X) < record.rows:
        X = read_sampled(records, record, _ROWS)[0]
    frames = [X.assign(**{fleet.by: segment_names(X, fleet.by)})]
    for number, (other, _) in enumerate(watches.before(record)):
        same = other.features is not None and other.features_code == record.features_code
        if number == _MOST_ROWS or _enough(frames, _ENOUGH_ROWS, fleet.by):
            break
        if same:
            earlier = read_sampled(records, other, _ROWS)[0]
            frames.append(earlier.assign(**{fleet.by: segment_names(earlier, fleet.by)}))
    rows = _newest(frames, _ENOUGH_ROWS, fleet.by)
    names = sorted(set(rows[fleet.by]))
    number = pd.Index(names, dtype=object).get_indexer(rows[fleet.by]).astype(np.int64)
    batch = sampled_rows(rows.drop(columns=fleet.by), number, len(names), records.model.seed)
    effect = records.model.drift.min_effect
    found = segment_drift(reference.of(names, fleet.by), batch, names, fleet.false_share, effect)
    found = watches.put(record, found)
    worst = found[found["alarm"]].sort_values(["p", "effect"], ascending=[True, False]).head(_WORST)
    details = [
        f"{shown(row.segment)} ({row.column}, effect {row.effect:.2g}, p {row.adjusted:.1g})"
        for row in worst.itertuples()
    ]
    return _watched(records, champion, "drift", found, details)


def board_rows(board: pd.DataFrame, most: int = ON_BOARD) -> list[dict[str, Any]]:
    """Return the first rows of a board as plain values; a figure that is not known is None."""
    rows = board.head(most).to_dict("records")
    return [{str(name): None if value != value else value for name, value in row.items()} for row in rows]


def _watched(
    records: ModelRecords, champion: ModelVersion, kind: WatchKind, found: pd.DataFrame, details: list[str]
) -> Watched:
    tested, alarms, segments = int(found["p"].notna().sum()), int(found["alarm"].sum()), len(found)
    verb = "decayed" if kind == "decay" else "drifted"
    name = f"no_segment_{kind}"
    if not tested:
        which = "labelled rows here and in the holdout" if kind == "decay" else "rows here and in the training rows"
        outcome = unknown(name, f"none of {segments:,} segments has {FEWEST_ROWS} {which}")
    else:
        more = f", and {alarms - _WORST:,} more" if alarms > _WORST else ""
        worst = f": {'; '.join(details)}{more}" if alarms else ""
        message = f"{alarms:,} of {segments:,} segments {verb} ({tested:,} have enough rows){worst}"
        outcome = CheckOutcome(name, not alarms, message, severity="warn", blocking=False)
    board, _ = current_board(records, champion)
    figures = {"segments_tested": float(tested), f"segments_{verb}": float(alarms)}
    shown = metadata({"segments": segments, **{name: int(figure) for name, figure in figures.items()}})
    if len(board):
        shown |= metadata({"segments_on_board": len(board)}) | {"board": table(board_rows(board))}
    return Watched(shown=shown, figures=figures, outcomes=(outcome,))


def _losses(X: pd.DataFrame, by: str, losses: np.ndarray) -> pd.DataFrame:
    """Return the segment and the loss of each row that has a segment."""
    frame = pd.DataFrame({"segment": segment_names(X, by), "loss": losses})
    return frame[frame["segment"] != NO_SEGMENT].reset_index(drop=True)


def _enough(frames: list[pd.DataFrame], enough: int, by: str = "segment") -> bool:
    """Return whether nearly all segments have enough rows in these frames."""
    codes, values = pd.factorize(pd.concat([frame[by] for frame in frames], ignore_index=True))
    return share_with(codes.astype(np.int64), len(values), enough) >= _ENOUGH_SEGMENTS


def _newest(frames: list[pd.DataFrame], enough: int, by: str = "segment") -> pd.DataFrame:
    """Return the newest rows of each segment, in order of time, from frames that begin with the newest batch."""
    age = np.repeat(np.arange(len(frames))[::-1], [len(frame) for frame in reversed(frames)])
    rows = pd.concat(list(reversed(frames)), ignore_index=True)
    codes, values = pd.factorize(rows[by])
    kept = newest_rows(codes.astype(np.int64), age, len(values), enough) & (rows[by] != NO_SEGMENT).to_numpy()
    return rows[kept].reset_index(drop=True)
