"""The newest rows of each segment of a fleet, from as many batches as it needs to have enough."""

from __future__ import annotations

from mlops_assets.lazy import np
from mlops_assets.statistics.arrays import Booleans, Integers


def newest_rows(segment: Integers, age: Integers, segments: int, enough: int) -> Booleans:
    """Return which rows (n,) count: those of a segment's newest batches, until it has `enough` rows.

    segment: the number 0..segments-1 of each row's segment. age: 0 for rows of the newest batch, 1 for the one before.
    """
    ages = int(age.max(initial=0)) + 1
    rows = np.bincount(segment * ages + age, minlength=segments * ages).reshape(segments, ages)
    newer = np.cumsum(rows, axis=1) - rows
    return np.asarray(newer[segment, age] < enough)


def share_with(segment: Integers, segments: int, enough: int) -> float:
    """Return the share of the segments with rows that have `enough` of them."""
    rows = np.bincount(segment, minlength=segments)
    return float(np.mean(rows[rows > 0] >= enough)) if rows.any() else 1.0
