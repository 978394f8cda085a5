"""How far apart two samples of thousands of segments lie in a column: Kolmogorov-Smirnov for all segments at once."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_assets.lazy import np, scipy
from mlops_assets.statistics.arrays import Floats, Integers

FEWEST_BLOCKS = 10
_CONSTANT = 2.17
_PAD = 0xFFFFFFFF
_MISSING = 0xFFFFFFFC


@dataclass(frozen=True)
class SegmentSides:
    """Where the rows of k segments, before and after, lie in an array with a line for each segment.

    `place` (n,) is the position of each row in the flat array (k, width); `before` and `after` (k,) count rows.
    """

    place: Integers
    before: Integers
    after: Integers
    width: int
    is_after: np.ndarray

    @classmethod
    def of(cls, before: Integers, after: Integers, segments: int) -> SegmentSides:
        """Return the places of rows with these segments 0..segments-1."""
        segment = np.concatenate([before, after])
        counts = [np.bincount(side, minlength=segments) for side in (before, after)]
        rows = counts[0] + counts[1]
        order, width = np.argsort(segment, kind="stable"), max(int(rows.max(initial=1)), 1)
        within = np.arange(len(segment)) - np.repeat(np.cumsum(rows) - rows, rows)
        place = np.empty(len(segment), dtype=np.int64)
        place[order] = segment[order] * width + within
        is_after = np.repeat(np.arange(2), [len(before), len(after)]).astype(np.uint32)
        return cls(place, counts[0], counts[1], width, is_after)

    def distances(self, values: Floats) -> Floats:
        """Return the Kolmogorov-Smirnov statistic (k,) of each segment's values (n,), those before first.

        Values are compared in single precision; NaN are the greatest. A segment without rows on one side has 0.
        """
        keys = np.full(len(self.before) * self.width, _PAD, dtype=np.uint32)
        keys[self.place] = _ordered(values) | self.is_after
        lines = np.sort(keys.reshape(-1, self.width), axis=1)  # many short sorts cost less than a long one
        after = np.cumsum((lines & 1).astype(np.int32), axis=1)
        before = np.arange(1, self.width + 1, dtype=np.int32) - after
        gaps = np.abs(after / np.maximum(self.after, 1)[:, None] - before / np.maximum(self.before, 1)[:, None])
        gaps[:, :-1] *= (lines[:, 1:] >> 1) != (lines[:, :-1] >> 1)  # of equal values the last counts
        gaps[lines == _PAD] = 0.0
        distance = gaps.max(axis=1)
        return np.where(np.minimum(self.before, self.after) > 0, np.minimum(distance, 1.0), 0.0)


def _ordered(values: Floats) -> np.ndarray:
    """Return even integers (n,) in the order of the values in single precision, of which the last bit is dropped."""
    bits = (values.astype(np.float32) + np.float32(0.0)).view(np.uint32)  # -0.0 becomes 0.0
    keys = np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000)) & np.uint32(0xFFFFFFFE)
    return np.where(np.isnan(values), np.uint32(_MISSING), keys)


def correlation_within(values: Floats, block: Integers, segment: Integers) -> float:
    """Return the correlation, at least 0, that two rows of a segment have on average if they lie in one block of time.

    values: (n,) of the rows of all segments; block: (n,) the number of each row's block, of one segment 0..k-1 (n,).
    """
    count, segments = int(block.max()) + 1, int(segment.max()) + 1
    rows = np.bincount(segment, minlength=segments)
    mean = np.bincount(segment, values, segments) / np.maximum(rows, 1)
    centred = values - mean[segment]
    of_block = np.zeros(count, dtype=np.int64)
    of_block[block] = segment
    sizes, sums = np.bincount(block, minlength=count).astype(np.float64), np.bincount(block, centred, count)
    blocks = np.bincount(of_block, minlength=segments)
    squares = np.bincount(segment, centred**2, segments)
    pairs = np.bincount(of_block, sizes**2 - sizes, segments)
    between = np.bincount(of_block, sums**2, segments) * blocks / np.maximum(blocks - 1, 1)
    usable = blocks > 1
    expected = float((pairs * squares / np.maximum(rows, 1))[usable].sum())
    return min(max(float((between - squares)[usable].sum()) / expected, 0.0), 1.0) if expected > 0 else 0.0


def p_of_distances(distance: Floats, rows: tuple[Floats, Floats], freedom: Floats) -> Floats:
    """Return an upper bound of p (k,) for distances of so many independent rows.

    The bound of Dvoretzky, Kiefer & Wolfowitz holds for two samples with the factor 2.17 (Wei & Dudley 2012), however
    few the rows and whatever the distribution. freedom: degrees of freedom with which rows were found to be worth
    fewer; infinite where they count in full.
    """
    pooled = 1.0 / (1.0 / rows[0] + 1.0 / rows[1])
    p = np.minimum(_CONSTANT * np.exp(-2.0 * pooled * distance**2), 1.0)
    finite = np.isfinite(freedom)
    quantile = scipy.special.ndtri(np.maximum(p, 1e-300) / 2.0)
    student = 2.0 * scipy.special.stdtr(np.where(finite, np.maximum(freedom, 1.0), 1.0), quantile)
    return np.minimum(np.where(finite, student, p), 1.0)
