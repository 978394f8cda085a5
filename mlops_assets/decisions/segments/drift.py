"""Which segments of a fleet have other features than before, with the share of false alarms bounded over them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mlops_assets.lazy import np, pd
from mlops_assets.statistics.arrays import Floats, Integers
from mlops_assets.statistics.false_discovery import adjusted_p
from mlops_assets.statistics.segment_distances import (
    FEWEST_BLOCKS,
    SegmentSides,
    correlation_within,
    p_of_distances,
)
from mlops_assets.statistics.segment_means import FEWEST_ROWS

_ROWS, _LEAST_KEPT, _MOST_KEPT = 200_000, 64, 2_000
_NOISE = 1.1
_WIDEST = 2.0


@dataclass(frozen=True)
class SegmentRows:
    """Rows (n, columns) in order of time, and the number 0..k-1 of the segment (n,) of each.

    `position` (n,) is each row's place among all rows of its segment, from 0: the rows may be a sample of stretches.
    """

    X: pd.DataFrame
    segment: Integers
    position: Integers

    def duration(self, segments: int) -> Integers:
        """Return the number (k,) of rows from the first to the last of each segment, sampled or not."""
        last = np.zeros(segments, dtype=np.int64)
        np.maximum.at(last, self.segment, self.position + 1)
        return last


def sampled_rows(X: pd.DataFrame, segment: Integers, segments: int, seed: int = 0) -> SegmentRows:
    """Return rows (n, columns) in order of time as `SegmentRows`; of a segment with many, a random sample.

    A segment keeps 64 rows, or its part of 200,000 in all, at most 2,000. A row of segment -1 is left out.
    """
    most = int(np.clip(_ROWS // max(segments, 1), _LEAST_KEPT, _MOST_KEPT))
    chance = np.random.default_rng(seed).random(len(segment))
    position, place = (_rank(segment, by) for by in (np.arange(len(segment)), chance))
    kept = (segment >= 0) & (place < most)
    return SegmentRows(X[kept].reset_index(drop=True), segment[kept], position[kept])


def _rank(segment: Integers, by: np.ndarray) -> Integers:
    """Return the place (n,) of each row among those of its segment, from 0, in order of `by` (n,)."""
    order = np.lexsort((by, segment))
    ordered = segment[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.empty(0, np.int64)
    place = np.empty(len(segment), dtype=np.int64)
    place[order] = np.arange(len(segment)) - np.repeat(starts, np.diff(np.r_[starts, len(segment)]))
    return place


def segment_drift(
    reference: SegmentRows, batch: SegmentRows, names: Sequence[str], false_share: float, min_effect: float
) -> pd.DataFrame:
    """Return a row for each of k segments: segment, rows, reference_rows, column, effect, p, adjusted and alarm.

    Each column of a segment has a Kolmogorov-Smirnov test against the segment's reference rows; categories are in order
    of their frequency, missing values last. Times are left out: they always move on. The least p times the number of
    columns is that of the segment, `column` the one that it is of. Benjamini & Hochberg's method goes over the segments
    with enough rows on both sides; an effect below `min_effect` does not count.

    Rows may be autocorrelated: the reference is cut into blocks of as many rows as the batch has, and the correlation
    within them gives the number of independent rows (Kish 1965, "Survey sampling"). Where that matters, Student's t
    for so many blocks is taken, and p is 1 with fewer than 10 of them.
    """
    count = len(names)
    rows = [np.bincount(side.segment, minlength=count) for side in (reference, batch)]
    tested = np.minimum(*rows) >= FEWEST_ROWS
    kept = [_only(side, tested) for side in (reference, batch)]
    columns = [name for name in reference.X.columns if tested.any() and _comparable(reference.X, batch.X, name)]
    blocks = _Blocks.of(kept[0], batch.duration(count), count)
    least, effect, worst = _least(kept[0], kept[1], columns, blocks, rows, min_effect)
    p = np.where(tested, np.minimum(least * max(len(columns), 1), 1.0), np.nan)
    adjusted = adjusted_p(p)
    return pd.DataFrame(
        {
            "segment": list(names),
            "rows": rows[1],
            "reference_rows": rows[0],
            "column": np.where(tested & bool(columns), np.array([*columns, ""], dtype=object)[worst], ""),
            "effect": np.where(tested, effect, np.nan),
            "p": p,
            "adjusted": adjusted,
            "alarm": adjusted <= false_share,
        }
    )


def _least(
    reference: SegmentRows,
    batch: SegmentRows,
    columns: Sequence[str],
    blocks: _Blocks,
    rows: list[Integers],
    min_effect: float,
) -> tuple[Floats, Floats, Integers]:
    """Return the least p of any column, its effect and the number of the column (k,)."""
    count = len(rows[0])
    least, effect, worst = np.ones(count), np.zeros(count), np.zeros(count, dtype=np.int64)
    sides = SegmentSides.of(reference.segment, batch.segment, count)
    for number, name in enumerate(columns):
        old, new = _numbers(reference.X[name], batch.X[name])
        distance = sides.distances(np.concatenate([old, new]))
        p = np.where(distance >= min_effect, blocks.p(old, distance, rows), 1.0)
        less = (p < least) | (number == 0)
        least, effect = np.where(less, p, least), np.where(less, distance, effect)
        worst[less] = number
    return least, effect, worst


@dataclass(frozen=True)
class _Blocks:
    """The reference in blocks of as many rows as the batch has: their numbers, how many, and the rows in one."""

    block: Integers
    segment: Integers
    blocks: Integers
    size: Floats
    pairs: Floats

    @classmethod
    def of(cls, reference: SegmentRows, duration: Integers, segments: int) -> _Blocks:
        """Cut the reference rows of each segment into blocks that last as many rows as `duration` (k,) says."""
        within = reference.position // np.maximum(duration, 1)[reference.segment]
        key = reference.segment * (int(within.max(initial=0)) + 1) + within
        values, block = np.unique(key, return_inverse=True)
        sizes = np.bincount(block, minlength=len(values)).astype(np.float64)
        owner = (values // (int(within.max(initial=0)) + 1)).astype(np.int64)
        rows = np.maximum(np.bincount(owner, sizes, segments), 1.0)
        squares = np.bincount(owner, sizes**2, segments)
        blocks = np.bincount(owner, minlength=segments)
        return cls(block.astype(np.int64), reference.segment, blocks, squares / rows, np.asarray(squares - rows))

    def p(self, old: Floats, distance: Floats, rows: list[Integers]) -> Floats:
        """Return p (k,) of a column's distances."""
        count = len(distance)
        within = correlation_within(_winsorised(old, self.segment, count), self.block, self.segment)
        if within < 2.0 * np.sqrt(2.0 / max(float(self.pairs.sum()), 1.0)):  # its standard error, twice
            within = 0.0
        inflation = [1.0 + np.maximum(size - 1.0, 0.0) * within for size in (self.size, rows[1])]
        matters = inflation[1] > _NOISE
        worth = [np.maximum(side / factor, 1.0) for side, factor in zip(rows, inflation, strict=True)]
        p = p_of_distances(distance, (worth[0], worth[1]), np.where(matters, self.blocks - 2.0, np.inf))
        return np.where(matters & (self.blocks < FEWEST_BLOCKS), 1.0, p)


def _winsorised(values: Floats, segment: Integers, segments: int) -> Floats:
    """Return values within two standard deviations of the mean of their segment, in these; missing ones are 0."""
    known = np.where(np.isfinite(values), values, 0.0)
    rows = np.maximum(np.bincount(segment, minlength=segments), 1)
    centred = known - (np.bincount(segment, known, segments) / rows)[segment]
    spread = np.sqrt(np.bincount(segment, centred**2, segments) / rows)
    return np.clip(centred / np.where(spread > 0, spread, 1.0)[segment], -_WIDEST, _WIDEST)


def _only(side: SegmentRows, tested: np.ndarray) -> SegmentRows:
    inside = tested[side.segment]
    return SegmentRows(side.X[inside], side.segment[inside], side.position[inside])


def _comparable(old: pd.DataFrame, new: pd.DataFrame, name: str) -> bool:
    return name in new.columns and not any(pd.api.types.is_datetime64_any_dtype(side[name]) for side in (old, new))


def _numbers(old: pd.Series, new: pd.Series) -> tuple[Floats, Floats]:
    """Return both sides of a column as numbers; categories by their frequency in the reference, new ones last."""
    sides = (old, new)
    if all(pd.api.types.is_numeric_dtype(side) for side in sides):
        plain = [side.to_numpy(dtype=np.float64, na_value=np.nan) for side in sides]
        return plain[0], plain[1]
    order = pd.Index(old.astype(object).value_counts().index)
    codes = [order.get_indexer(side.astype(object)).astype(np.float64) for side in sides]
    for code, side in zip(codes, sides, strict=True):
        code[code < 0] = len(order)
        code[side.isna().to_numpy()] = np.nan
    return codes[0], codes[1]
