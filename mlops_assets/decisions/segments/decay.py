"""Which segments of a fleet lose more than on the champion's holdout, with the share of false alarms bounded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mlops_assets.lazy import np, pd
from mlops_assets.statistics.arrays import Floats, Integers
from mlops_assets.statistics.false_discovery import adjusted_p
from mlops_assets.statistics.segment_rises import segment_rises

TOLERANCE = 0.1
"""A metric that is worse by less than this share of its value on the holdout does not count, as for a whole model."""


def segment_decay(
    holdout: tuple[Floats, Integers],
    batch: tuple[Floats, Integers],
    names: Sequence[str],
    from_mean: Callable[[Any], Any],
    false_share: float,
    seed: int = 0,
) -> pd.DataFrame:
    """Return a row for each of k segments: segment, rows, reference_rows, holdout, value, ratio, p, adjusted and alarm.

    Each side has the loss (n,) of each row, in order of time, and the number 0..k-1 of its segment (n,). `from_mean`
    turns mean losses into the metric: `holdout` and `value`, whose `ratio` is value / holdout. `p` is that of no rise
    of the mean loss (`segment_rises`), or 1 if the metric is not worse by `TOLERANCE`. Benjamini & Hochberg's method
    goes over the segments with enough rows on both sides; of the alarms at most `false_share` are expected to be false.
    A segment with losses that are not finite has p 0: its model gave no usable prediction.
    """
    count = len(names)
    sides = [_finite(*side, count) for side in (holdout, batch)]
    found = segment_rises((sides[0][0], sides[0][1]), (sides[1][0], sides[1][1]), count, seed)
    known = [np.where(rows > 0, mean, np.nan) for rows, mean in _sides(found)]
    before, after = (np.asarray(from_mean(mean), dtype=np.float64) for mean in known)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = after / before
        worse = (found.after > found.before) & (np.abs(after - before) >= TOLERANCE * np.abs(before))
    p = np.where(np.isnan(found.p) | worse, found.p, 1.0)
    p[sides[0][2] > 0] = np.nan
    p[sides[1][2] > 0] = 0.0
    adjusted = adjusted_p(p)
    return pd.DataFrame(
        {
            "segment": list(names),
            "rows": found.rows_after + sides[1][2],
            "reference_rows": found.rows_before + sides[0][2],
            "holdout": before,
            "value": after,
            "ratio": ratio,
            "p": p,
            "adjusted": adjusted,
            "alarm": adjusted <= false_share,
        }
    )


def _sides(found: Any) -> list[tuple[Integers, Floats]]:
    return [(found.rows_before, found.before), (found.rows_after, found.after)]


def _finite(losses: Floats, segment: Integers, segments: int) -> tuple[Floats, Integers, Integers]:
    """Return the finite losses with their segments, and how many of each segment's are not finite (k,)."""
    finite = np.isfinite(losses)
    wrong = np.bincount(segment[~finite], minlength=segments).astype(np.int64)
    return losses[finite], segment[finite], wrong
