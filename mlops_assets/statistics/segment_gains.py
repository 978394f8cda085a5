"""Which of thousands of segments gain from another model, with the share of false findings bounded over them all."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_assets.lazy import np, scipy
from mlops_assets.statistics.arrays import Booleans, Floats, Integers
from mlops_assets.statistics.false_discovery import adjusted_p
from mlops_assets.statistics.pooled_tail import pool, share_below
from mlops_assets.statistics.standard_errors import error_of_mean

MIN_ROWS = 40
"""Fewer rows of a segment are not tested: the tail of so short a mean is not known well enough."""

_SIZES = (40, 57, 80, 113, 160, 226, 320)
_DRAWS = 20_000


@dataclass(frozen=True, kw_only=True)
class SegmentGains:
    """The gain of each of k segments: its rows, mean and standard error (k,), positive is better.

    `student` is the p of no gain by Student's t, one-sided; `p` is that by `segment_gains`, which is as great at least;
    `adjusted` is p for the number of segments. They are NaN for a segment with fewer than `MIN_ROWS` rows.
    """

    rows: Integers
    mean: Floats
    error: Floats
    student: Floats
    p: Floats
    adjusted: Floats

    def passed(self, false_share: float) -> Booleans:
        """Return which segments gain (k,), with at most this expected share of false ones among them."""
        return np.asarray(self.adjusted <= false_share)


def segment_gains(gains: Floats, segment: Integers, segments: int, seed: int = 0) -> SegmentGains:
    """Test each segment for a mean gain above 0, from the gain (n,) of each row and its segment 0..segments-1 (n,).

    Rows are in order of time. Each segment has a paired t-test that allows for autocorrelation (`error_of_mean`), and
    Benjamini & Hochberg's method corrects for the number of segments. It needs p-values that are right far in the tail,
    where Student's t is not if the gains are skewed, as for a model that errs seldom but badly. So p is at least the
    share of the t statistics of as many rows drawn from all segments' rows, without their means, that are as great.
    Beyond the draws this share is extrapolated on the scale of logarithms. benchmarks/fleet.py prints the error rates.
    """
    order = np.argsort(segment, kind="stable")
    rows = np.bincount(segment, minlength=segments).astype(np.int64)
    parts = np.split(gains[order], np.cumsum(rows)[:-1])
    mean, error, freedom = (np.full(segments, np.nan) for _ in range(3))
    for number, part in enumerate(parts):
        if len(part):
            mean[number] = part.mean()
        if len(part) >= MIN_ROWS:
            error[number], freedom[number] = error_of_mean(part)
    p = np.full(segments, np.nan)
    tested = rows >= MIN_ROWS
    same = tested & (error == 0.0)
    p[same] = np.where(mean[same] > 0, 0.0, 1.0)
    tested &= ~same
    p[tested] = scipy.special.stdtr(freedom[tested], -mean[tested] / error[tested])
    student = p.copy()
    if tested.any():
        pooled = pool(parts[number] for number in np.flatnonzero(tested))
        p[tested] = _calibrated(p[tested], rows[tested], pooled, seed)
    return SegmentGains(rows=rows, mean=mean, error=error, student=student, p=p, adjusted=adjusted_p(p))


def _calibrated(p: Floats, rows: Integers, pooled: Floats, seed: int) -> Floats:
    """Return p, or the share of draws from the pool whose t-test has as small a p, if that is greater."""
    calibrated = p.copy()
    bins = np.searchsorted(_SIZES, rows, side="right") - 1
    for number in np.unique(bins):
        inside = bins == number
        drawn = _p_of_draws(pooled, _SIZES[number], np.random.default_rng([seed, int(number)]))
        calibrated[inside] = np.maximum(p[inside], share_below(p[inside], drawn))
    return calibrated


def _p_of_draws(pooled: Floats, size: int, random: np.random.Generator) -> Floats:
    """Return the sorted p-values of t-tests on draws of so many rows."""
    found = []
    for _ in range(10):
        sample = pooled[random.integers(0, len(pooled), (_DRAWS // 10, size))]
        error = np.maximum(sample.std(axis=1, ddof=1), 1e-300) / np.sqrt(size)
        found.append(scipy.special.stdtr(size - 1, -sample.mean(axis=1) / error))
    return np.sort(np.concatenate(found))
