"""Means of thousands of segments with standard errors for rows that are autocorrelated in time, all at once."""

from __future__ import annotations

from dataclasses import dataclass

from mlops_assets.lazy import np
from mlops_assets.statistics.arrays import Floats, Integers

FEWEST_ROWS = 20
"""A segment with fewer rows, before or after, is not tested."""

_GREATEST = 0.97


@dataclass(frozen=True)
class SegmentMeans:
    """Rows, mean, variance of a row and first autocorrelation of each of k segments; arrays (k,)."""

    rows: Integers
    mean: Floats
    variance: Floats
    first: Floats

    def autocorrelation(self) -> float:
        """Return the first autocorrelation that the segments share; 0 if it may be noise."""
        rows = float(self.rows.sum())
        if not rows:
            return 0.0
        mean = float(self.first @ self.rows) / rows
        mean += (1.0 + 3.0 * mean) * np.count_nonzero(self.rows) / rows  # its bias (Kendall 1954)
        return mean if mean > 2.0 / np.sqrt(rows) else 0.0

    def squared_error(self, shared: float) -> tuple[Floats, Floats]:
        """Return the squared standard error of each mean, and the rows that it is worth if they were independent.

        The rows count as a first-order autoregression. Its coefficient is the segment's own if that is more than noise,
        and at least `shared`.
        """
        return squared_error(self.rows, self.variance, self.first, shared)


def segment_means(values: Floats, segment: Integers, segments: int) -> SegmentMeans:
    """Return the means of values (n,), in order of time, by their segment 0..segments-1 (n,)."""
    order = np.argsort(segment, kind="stable")
    series, number = values[order], segment[order]
    rows = np.bincount(number, minlength=segments).astype(np.int64)
    mean = np.bincount(number, series, segments) / np.maximum(rows, 1)
    centred = series - mean[number]
    squares = np.bincount(number, centred**2, segments)
    products = np.where(number[1:] == number[:-1], centred[1:] * centred[:-1], 0.0)
    first = np.bincount(number[1:], products, segments) / np.where(squares > 0, squares, 1.0)
    return SegmentMeans(rows, mean, squares / np.maximum(rows - 1, 1), first)


def squared_error(rows: Integers | int, variance: Floats, first: Floats, shared: float) -> tuple[Floats, Floats]:
    """Return what `SegmentMeans.squared_error` does, of any means."""
    count = np.maximum(rows, 1)
    own = np.where(first > 1.0 / np.sqrt(count), first + (1.0 + 3.0 * first) / count, 0.0)
    coefficient = np.clip(np.maximum(own, shared), 0.0, _GREATEST)
    worth = count * (1.0 - coefficient) / (1.0 + coefficient)
    return variance / worth, worth
