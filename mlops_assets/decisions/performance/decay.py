"""Whether a model is worse on a new batch than on its own holdout."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from mlops_assets.lazy import np, scipy
from mlops_assets.statistics import students_t
from mlops_assets.statistics.resampling import Floats
from mlops_assets.statistics.standard_errors import error_of_mean


@dataclass(frozen=True)
class Range:
    """A metric, and the bounds that hold it with 95% confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Decay:
    """The metric on the holdout and on the batch, and the verdict.

    `ratio` is batch / holdout of the metric. `p` is the one-sided probability of a batch this much worse if nothing
    changed. Figures are NaN if there are too few labels.
    """

    verdict: Literal["decay", "no decay", "insufficient labels"]
    holdout: Range
    batch: Range
    ratio: float
    rows: int
    p: float
    reason: str


def insufficient_labels(labelled: int, rows: int, share: float | None = None) -> str | None:
    """Return why a batch of `rows` with `labelled` labels cannot be judged, or None.

    share: the least share of rows that must have a label, if labels come later than rows; else None.
    """
    if not labelled:
        return f"insufficient labels: none of {rows:,} rows has one yet"
    if share is None or labelled >= share * rows:
        return None
    return (  # rounded down: else 79.6% would be shown as the required 80%
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
    judged: str = "",
) -> Decay:
    """Compare row losses (lower is better) of two sets of rows, each in order of time.

    `decay` means two things: the batch is worse at one-sided level `alpha`, and the metric is worse by at least the
    share `tolerance` of its value on the holdout. With many rows, differences that do not matter are significant too.
    Losses that are not finite are decay: the model gave no usable prediction. `from_mean` turns mean losses into the
    metric. `judged` appears in the reason, for a loss that is not of the model's first metric.

    The test is Welch's (1947) with standard errors for autocorrelated rows (`error_of_mean`) and the lesser degrees of
    freedom of the two. Hall's (1992) correction is for skewed losses. Without it a batch larger than the holdout gives
    too many alarms and a smaller one too few. False alarms at 1% are 0.6 to 1.6% (`benchmarks/decay_errors.py`, 2,000
    draws). They are 2% for a batch twice as large as a holdout of 500 autocorrelated rows.
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
    errors = [error_of_mean(losses) for losses in sides]
    holdout, batch = (_range(losses, *error, from_mean) for losses, error in zip(sides, errors, strict=True))
    p = _p_worse(sides[0], sides[1], errors)
    worse = bool(sides[1].mean() > sides[0].mean())
    found = _judged(holdout, batch, worse, rows, p, metric_name, alpha, tolerance)
    return replace(found, reason=f"{found.reason}. {judged}") if judged else found


def _p_worse(holdout: Floats, batch: Floats, errors: list[tuple[float, float]]) -> float:
    """Return the one-sided p of the difference in means, given the standard errors and degrees of freedom of both."""
    worse = float(batch.mean() - holdout.mean())
    error = math.hypot(errors[0][0], errors[1][0])
    if not (_spread(holdout) or _spread(batch)):
        return 0.0 if worse > 0 else 1.0
    t, skew = worse / error, _skew_of_difference(holdout, batch, errors) / error**3
    corrected = t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6
    return students_t.tail(corrected, min(freedom for _, freedom in errors))


def _skew_of_difference(holdout: Floats, batch: Floats, errors: list[tuple[float, float]]) -> float:
    """Return the third cumulant of the difference in means, if both sides share the skewness of all losses.

    Autocorrelated rows count as fewer: a mean of k independent rows has se^4 / sd times their skewness.
    """
    sides = [(losses, _spread(losses)) for losses in (holdout, batch)]
    skewness = sum(len(losses) * float(scipy.stats.skew(losses)) for losses, sd in sides if sd) / (
        len(holdout) + len(batch)
    )
    of_means = [skewness * error**4 / sd if sd else 0.0 for (_, sd), (error, _) in zip(sides, errors, strict=True)]
    return of_means[1] - of_means[0]


def _spread(losses: Floats) -> float:
    """Return the standard deviation, or 0 if it is a rounding error."""
    sd = float(losses.std())
    return sd if sd > 1e-12 * float(np.abs(losses).max()) else 0.0


def _range(losses: Floats, error: float, freedom: float, from_mean: Callable[[Any], Any]) -> Range:
    mean, reach = float(losses.mean()), students_t.quantile(0.975, freedom) * error
    # a mean of losses that cannot be negative stays so, since roots and logarithms are taken of it
    bounds = from_mean(np.array([max(mean - reach, min(0.0, float(losses.min()))), mean + reach]))
    low, high = sorted(float(bound) for bound in bounds)
    return Range(float(from_mean(mean)), low, high)


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
