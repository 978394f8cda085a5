"""Which batches a model is trained on and which it is judged on: always the newest for judging, after the rest."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.lazy import np, pd, sklearn
from mlops_assets.modelling.manifest import BatchInfo, Manifest
from mlops_assets.text import natural_order, shown

_MOST_SHARE, _LEAST_SHARE = 0.2, 0.05
"""Shares of the rows between which the holdout lies by default, if whole batches allow it."""


def split_in_time(
    batches: Sequence[BatchInfo],
    holdout: int | float | str | None = None,
    window: int | str | None = None,
    after: Collection[str] = (),
    known: Collection[str] = (),
) -> Manifest:
    """Split labelled batches into train and a later holdout.

    Batches are ordered by start, or by key ("batch-2" before "batch-10") if any has no time.
    holdout: the newest n batches (int), the newest with at least this share of labelled rows (float), or those that
        start within this time of the end ("30D"). Always at least one, never all. None takes as many as hold at most a
        fifth of the rows of window and holdout, and at least a twentieth, which has priority. It takes no more than
        half of the batches that came after the known ones.
    window: the newest n batches before the holdout (int), or those that end within this time before the holdout starts
        ("180D"); None takes all.
    after: keys of the batches that the champion was trained on; the holdout starts later than all of them.
    known: keys of the batches that the champion was trained or judged on. A share of a long history would hold out all
        new batches, and a training for drift or decay would not learn them. So at most half are held out.

    A batch that overlaps the holdout in time is not trained on. Raises `TrainingError` if either side would be empty,
    `DeclarationError` for an invalid holdout or window.
    """
    labelled = [batch for batch in batches if batch.labelled > 0]
    left_out = [(batch.key, "no labelled rows") for batch in batches if batch.labelled <= 0]
    if len(labelled) < 2:
        have = ", ".join(shown(batch.key) for batch in labelled) or "none"
        raise TrainingError(
            f"{len(labelled)} labelled batches (got {have}; {len(left_out)} without labels); expected at least 2, one "
            "to train on and a later one to judge on. Wait for the next batch, or cut batches smaller."
        )
    ordered = _in_order(labelled)
    first = min(max(_holdout_start(ordered, holdout, window, known), 1), len(ordered) - 1)
    judged = _later_than_champion(ordered, first, after, left_out)
    train = _in_window(ordered[: ordered.index(judged[0])], judged, window, left_out)
    if not train:
        raise TrainingError(
            f"no batch is left to train on before the holdout, which starts with {shown(judged[0].key)}; left out: "
            f"{shown(left_out)}. Widen the window, or make the holdout smaller."
        )
    return Manifest(tuple(train), tuple(judged), tuple(left_out))


def time_folds(batch_of_row: np.ndarray, folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return expanding folds in time: (train, test) row positions, the test rows directly after the train rows.

    `batch_of_row` (n,) gives the ordinal of each row's batch, never decreasing. Folds are cut between batches; with
    fewer batches than folds + 1, between rows.
    """
    ordinals = np.asarray(batch_of_row)
    if folds < 2 or len(ordinals) < folds + 1:
        raise TrainingError(
            f"{folds} folds over {len(ordinals)} rows: expected at least 2 folds and more rows than folds. "
            "Use fewer folds or more batches."
        )
    if np.any(np.diff(ordinals) < 0):
        raise TrainingError("the rows for folds are not in order of time: expected batch ordinals that never decrease.")
    known = np.unique(ordinals)
    in_time = sklearn.model_selection.TimeSeriesSplit(folds)
    if len(known) <= folds:
        return [(train, test) for train, test in in_time.split(ordinals)]
    edges = np.append(np.searchsorted(ordinals, known), len(ordinals))
    cuts = [(edges[test[0]], edges[test[-1] + 1]) for _, test in in_time.split(known)]
    return [(np.arange(begin), np.arange(begin, end)) for begin, end in cuts]


def _in_order(batches: Sequence[BatchInfo]) -> list[BatchInfo]:
    if any(batch.start is None for batch in batches):
        return sorted(batches, key=lambda batch: natural_order(batch.key))
    return sorted(batches, key=lambda batch: (batch.start, batch.end or batch.start, natural_order(batch.key)))


def _holdout_start(
    ordered: list[BatchInfo], holdout: int | float | str | None, window: int | str | None, known: Collection[str]
) -> int:
    """Return the position of the first batch of the holdout, before limits apply."""
    if holdout is None:
        last = max((position for position, batch in enumerate(ordered) if batch.key in known), default=-1)
        newer = len(ordered) - 1 - last if last >= 0 else 0
        most = max(newer // 2, 1) if newer else len(ordered)
        return max(_default_holdout_start(ordered, window), len(ordered) - most)
    if isinstance(holdout, bool) or (isinstance(holdout, int) and holdout < 1):
        raise DeclarationError(f"holdout {shown(holdout)}: expected at least 1 batch.")
    if isinstance(holdout, int):
        return len(ordered) - holdout
    if isinstance(holdout, float):
        if not 0 < holdout < 1:
            raise DeclarationError(f"holdout {holdout}: a share of the rows lies between 0 and 1, e.g. 0.2.")
        from_newest = np.cumsum([batch.labelled for batch in reversed(ordered)])
        enough = int(np.searchsorted(from_newest, holdout * from_newest[-1]))
        return len(ordered) - 1 - enough
    length = _duration("holdout", holdout)
    starts, ends = _times("holdout", holdout, ordered)
    limit = max(ends) - length
    return next((position for position, start in enumerate(starts) if start > limit), len(ordered) - 1)


def _default_holdout_start(ordered: list[BatchInfo], window: int | str | None) -> int:
    """Return where the newest fifth of the rows (at most) begins, or, if earlier, the newest twentieth (at least).

    The rows are those of the holdout that begins at a position, and of the window before it.
    """
    before = np.concatenate([[0], np.cumsum([batch.labelled for batch in ordered])])
    positions = np.arange(len(ordered))
    oldest = np.zeros_like(positions)
    if isinstance(window, int):
        oldest = np.maximum(positions - window, 0)
    elif window is not None:
        starts, ends = (pd.to_datetime(times, utc=True) for times in _times("window", window, ordered))
        limits = starts - _duration("window", window)
        oldest = np.minimum(pd.DatetimeIndex(np.maximum.accumulate(ends)).searchsorted(limits, side="right"), positions)
    share = (before[-1] - before[:-1]) / (before[-1] - before[oldest])
    at_most = int(np.flatnonzero(share > _MOST_SHARE)[-1]) + 1
    return min(at_most, int(np.flatnonzero(share >= _LEAST_SHARE)[-1]))


def _later_than_champion(
    ordered: list[BatchInfo], first: int, after: Collection[str], left_out: list[tuple[str, str]]
) -> list[BatchInfo]:
    """Return the holdout: from position `first` on, later than all that the champion was trained on."""
    used = [position for position, batch in enumerate(ordered) if batch.key in after]
    first = max([first, *(position + 1 for position in used)])
    newest = max((end for position in used if (end := ordered[position].end) is not None), default=None)

    def overlaps(batch: BatchInfo) -> bool:
        return newest is not None and batch.start is not None and batch.start < newest

    judged = _without(overlaps, ordered[first:], "overlaps in time what the champion was trained on", left_out)
    if not judged:
        raise TrainingError(
            f"no labelled batch is later than what the champion was trained on (its newest: "
            f"{shown(ordered[max(used)].key)}), so nothing is fair to judge on. Wait for the next labelled batch."
        )
    return judged


def _in_window(
    before: list[BatchInfo], judged: list[BatchInfo], window: int | str | None, left_out: list[tuple[str, str]]
) -> list[BatchInfo]:
    """Return the batches to train on: those in the window that do not overlap the holdout."""
    begin = judged[0].start

    def overlaps(batch: BatchInfo) -> bool:
        return begin is not None and batch.end is not None and batch.end > begin

    gone = {key for key, _ in left_out}
    train = [batch for batch in before if batch.key not in gone]
    train = _without(overlaps, train, "overlaps the holdout in time", left_out)
    if window is None:
        return train
    if isinstance(window, int):
        if isinstance(window, bool) or window < 1:
            raise DeclarationError(f"window {shown(window)}: expected at least 1 batch.")
        newest = train[-window:]
    else:
        length = _duration("window", window)
        starts, _ = _times("window", window, [*train, *judged])
        limit = starts[len(train)] - length
        newest = [batch for batch in train if batch.end is not None and batch.end > limit]
    return _without(lambda batch: batch not in newest, train, "older than the window", left_out)


def _without(
    unfit: Callable[[BatchInfo], bool], batches: list[BatchInfo], why: str, left_out: list[tuple[str, str]]
) -> list[BatchInfo]:
    """Return the batches that are not `unfit`; add the others to `left_out`."""
    left_out.extend((batch.key, why) for batch in batches if unfit(batch))
    return [batch for batch in batches if not unfit(batch)]


def _duration(field: str, text: str) -> pd.Timedelta:
    length = pd.to_timedelta(text, errors="coerce")
    if not length > pd.Timedelta(0):
        raise DeclarationError(f"{field} {shown(text)} is not a length of time: expected e.g. '30D' or '12h'.")
    return length


def _times(field: str, value: str, batches: Sequence[BatchInfo]) -> tuple[list[pd.Timestamp], list[pd.Timestamp]]:
    times = [(batch.start, batch.end) for batch in batches if batch.start is not None and batch.end is not None]
    if len(times) < len(batches):
        raise DeclarationError(
            f"{field} {shown(value)} is a length of time, but {len(batches) - len(times)} of {len(batches)} batches "
            "have no time. Declare `time`, or give a number of batches."
        )
    return [start for start, _ in times], [end for _, end in times]
