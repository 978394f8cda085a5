"""Whether a model has become worse on a new batch than it was on its own holdout."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from mlops_assets.decisions.resampling import Floats, cautious_block, resampled_means, widening


@dataclass(frozen=True)
class Range:
    """A metric, and the bounds that hold it with 95% confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Decay:
    """The metric on the holdout and on the batch, and what follows.

    `ratio` is batch / holdout of the metric. `p` is one-sided: the share of resamples in which the batch is no worse.
    Figures are NaN where there were too few labels.
    """

    verdict: Literal["decay", "no decay", "insufficient labels"]
    holdout: Range
    batch: Range
    ratio: float
    rows: int
    p: float
    reason: str


def insufficient_labels(labelled: int, rows: int, share: float | None = None) -> str | None:
    """Why a batch of `rows` with so many labels cannot be judged on, or None.

    share: the least share of the rows that must have one, where labels come later than rows; else None.
    """
    if not labelled:
        return f"insufficient labels: none of {rows:,} rows has one yet"
    if share is None or labelled >= share * rows:
        return None
    return (  # the share is rounded down: 79.6% would else be shown as the 80% that are needed
        f"insufficient labels: {labelled:,} of {rows:,} rows ({100 * labelled // rows}%) have one; "
        f"{share:.0%} are needed, since labels that come first are not like those that come late"
    )


def decay(
    holdout_losses: Any,
    batch_losses: Any,
    metric_name: str,
    from_mean: Callable[[Any], Any],
    alpha: float = 0.01,
    tolerance: float = 0.1,
    min_rows: int = 30,
    seed: int = 0,
    resamples: int = 1_000,
) -> Decay:
    """Compare row losses (lower is better) of two sets of rows, each in order of time.

    `decay` when the batch is worse at one-sided level `alpha` AND the metric is worse by at least the share
    `tolerance` of its value on the holdout: with many rows, differences that do not matter are significant too.
    Losses that are not finite are decay: the model gave no usable prediction. Circular block bootstrap of both
    means, block lengths as in `compare`; `from_mean` turns mean losses into the metric.
    """
    sides = [np.asarray(losses, dtype=np.float64) for losses in (holdout_losses, batch_losses)]
    rows, nan = len(sides[1]), float("nan")
    unknown = Range(nan, nan, nan)
    for what, losses in zip(("holdout", "batch"), sides, strict=True):
        if len(losses) < min_rows:
            reason = f"{len(losses)} labelled rows in the {what} are too few to judge; at least {min_rows} are needed"
            return Decay("insufficient labels", unknown, unknown, nan, rows, nan, reason)
    bad = [int(np.count_nonzero(~np.isfinite(losses))) for losses in sides]
    if bad[1]:
        reason = f"{bad[1]:,} of {rows:,} losses of the batch are not finite: no usable prediction"
        return Decay("decay", unknown, unknown, nan, rows, nan, reason)
    if bad[0]:
        reason = f"{bad[0]:,} losses of the holdout are not finite: there is nothing to hold the batch against"
        return Decay("insufficient labels", unknown, unknown, nan, rows, nan, reason)
    ranges, drawn = [], []
    for position, losses in enumerate(sides):
        means = _means(losses, resamples, seed + position, alpha)
        low, high = sorted(float(bound) for bound in from_mean(np.quantile(means, [0.025, 0.975])))
        ranges.append(Range(float(from_mean(losses.mean())), low, high))
        drawn.append(means)
    p = (1 + int(np.count_nonzero(drawn[1] <= drawn[0]))) / (1 + resamples)
    return _judged(
        ranges[0], ranges[1], bool(sides[1].mean() > sides[0].mean()), rows, p, metric_name, alpha, tolerance
    )


def _judged(
    holdout: Range, batch: Range, worse: bool, rows: int, p: float, metric: str, alpha: float, tolerance: float
) -> Decay:
    change = abs(batch.value - holdout.value) / abs(holdout.value) if holdout.value else float("inf")
    change = change if batch.value != holdout.value else 0.0
    verdict: Literal["decay", "no decay"] = "decay" if worse and p < alpha and change >= tolerance else "no decay"
    way = "worse" if worse else "better"
    reason = (
        f"{metric} is {batch.value:.4g} on {rows:,} rows ({batch.low:.4g} to {batch.high:.4g}), {holdout.value:.4g} on "
        f"the holdout ({holdout.low:.4g} to {holdout.high:.4g}): {change:.0%} {way}, p {p:.3g}; decay is "
        f"{tolerance:.0%} worse with p below {alpha:g}"
    )
    ratio = batch.value / holdout.value if holdout.value else float("nan")
    return Decay(verdict, holdout, batch, ratio, rows, p, reason)


def _means(losses: Floats, resamples: int, seed: int, alpha: float) -> Floats:
    """Bootstrap sample (resamples,) of the mean loss, widened where blocks are few."""
    block = cautious_block(losses)
    drawn = resampled_means(losses[:, None], block, resamples, seed)[:, 0]
    spread = (drawn - losses.mean()) * widening(len(losses), block, alpha)
    # a mean of losses that cannot be negative stays so; roots and logarithms are taken of it
    return (
        np.maximum(losses.mean() + spread, min(0.0, float(losses.min()))) if np.any(drawn != losses.mean()) else drawn
    )
