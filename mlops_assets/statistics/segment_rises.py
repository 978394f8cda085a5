"""Which of thousands of segments have a greater mean than before: one p-value for each."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_assets.lazy import np, scipy
from mlops_assets.statistics.arrays import Floats, Integers
from mlops_assets.statistics.pooled_tail import pool, share_below
from mlops_assets.statistics.segment_means import FEWEST_ROWS, SegmentMeans, segment_means, squared_error

_SIZES = (20, 28, 40, 57, 80, 113, 160, 226, 320)
_DRAWS = 20_000


@dataclass(frozen=True, kw_only=True)
class SegmentRises:
    """The rows and means of k segments before and after (k,), and `p` of no rise; NaN for a segment with few rows."""

    rows_before: Integers
    rows_after: Integers
    before: Floats
    after: Floats
    p: Floats


def segment_rises(
    before: tuple[Floats, Integers], after: tuple[Floats, Integers], segments: int, seed: int = 0
) -> SegmentRises:
    """Test each segment for a rise of its mean; each side has values (n,) in order of time, and their segments (n,).

    The test is Welch's (1947), one-sided, with standard errors for autocorrelated rows (`SegmentMeans.squared_error`).
    Losses of a few rows are skewed and have heavy tails, where its p-values are far too small. So p is at least the
    share of the statistics of as many rows, drawn from the rows of all segments before without their means, that are
    as great. Rows are drawn in blocks, so that they stay autocorrelated. Segments are taken to be alike in shape, up to
    scale. benchmarks/fleet_alarms.py prints the error rates.
    """
    sides = [segment_means(*side, segments) for side in (before, after)]
    tested = np.minimum(sides[0].rows, sides[1].rows) >= FEWEST_ROWS
    p = np.full(segments, np.nan)
    if tested.any():
        kept = [SegmentMeans(*(values[tested] for values in vars(side).values())) for side in sides]
        shared = max(side.autocorrelation() for side in kept)
        student = _welch(kept[1].mean - kept[0].mean, *(side.squared_error(shared) for side in kept))
        order = np.argsort(before[1], kind="stable")
        parts = np.split(before[0][order], np.cumsum(sides[0].rows)[:-1])
        rows = pool(parts[number] for number in np.flatnonzero(tested))
        p[tested] = _calibrated(student, (kept[0].rows, kept[1].rows), rows, shared, seed)
    return SegmentRises(
        rows_before=sides[0].rows, rows_after=sides[1].rows, before=sides[0].mean, after=sides[1].mean, p=p
    )


def _welch(rise: Floats, one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> Floats:
    """Return the one-sided p of a difference in means whose sides have a squared error and a number of rows."""
    squared = one[0] + other[0]
    parts = sum(error**2 / np.maximum(worth - 1.0, 1.0) for error, worth in (one, other))
    known = squared > 0
    freedom = np.where(known, squared, 1.0) ** 2 / np.where(known, parts, 1.0)
    t = rise / np.sqrt(np.where(known, squared, 1.0))
    return np.where(known, scipy.special.stdtr(freedom, -t), np.where(rise > 0, 0.0, 1.0))


def _calibrated(p: Floats, rows: tuple[Integers, Integers], pooled: Floats, shared: float, seed: int) -> Floats:
    """Return p, or the share of draws from the pool whose test has as small a p, if that is greater."""
    bins = [np.searchsorted(_SIZES, side, side="right") - 1 for side in rows]
    draws = {
        int(number): _draws(pooled, _SIZES[number], shared, np.random.default_rng([seed, int(number)]))
        for number in np.unique(np.concatenate(bins))
    }
    calibrated, pairs = p.copy(), bins[0] * len(_SIZES) + bins[1]
    for pair in np.unique(pairs):
        inside, (one, other) = pairs == pair, divmod(int(pair), len(_SIZES))
        (mean, *error), (other_mean, *other_error) = draws[one], (np.roll(part, 1) for part in draws[other])
        drawn = np.sort(_welch(other_mean - mean, (error[0], error[1]), (other_error[0], other_error[1])))
        calibrated[inside] = np.maximum(p[inside], share_below(p[inside], drawn))
    return calibrated


def _draws(pooled: Floats, size: int, shared: float, random: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Return mean, squared error and worth (draws,) of so many rows, drawn in blocks."""
    length = min(max(1, round(2 * (1 + shared) / (1 - shared))) if shared else 1, size // 3)
    blocks, found = -(-size // length), []
    for _ in range(10):
        start = random.integers(0, max(len(pooled) - length + 1, 1), (_DRAWS // 10, blocks))
        rows = (start[..., None] + np.arange(length)).reshape(len(start), -1)[:, :size]
        sample = pooled[np.minimum(rows, len(pooled) - 1)]
        mean = sample.mean(axis=1)
        sample -= mean[:, None]
        squares = np.maximum(np.einsum("ij,ij->i", sample, sample), 1e-300)
        first = np.einsum("ij,ij->i", sample[:, 1:], sample[:, :-1]) / squares
        found.append((mean, *squared_error(size, squares / (size - 1), first, shared)))
    mean, error, worth = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return mean, error, worth
