"""Whether a model is worse on a new batch than on its own holdout."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from mlops_assets.lazy import np, scipy
from mlops_assets.statistics import students_t
from mlops_assets.statistics.arrays import Floats
from mlops_assets.statistics.standard_errors import error_of_mean

_ALPHA = 0.01
_FEWEST_ROWS = 30
_NAN = float("nan")


@dataclass(frozen=True)
class MetricRange:
    """A metric, and the bounds that hold it with 95% confidence; NaN if unknown."""

    value: float = _NAN
    low: float = _NAN
    high: float = _NAN


@dataclass(frozen=True, kw_only=True)
class Decay:
    """The metric on the holdout and on the batch, and the verdict.

    `ratio` is batch / holdout of the metric. `p` is the one-sided probability of a batch this much worse if nothing
    changed. Figures are NaN if there are too few labels.
    """

    verdict: Literal["decay", "no decay", "insufficient labels"]
    holdout: MetricRange = MetricRange()
    batch: MetricRange = MetricRange()
    ratio: float = _NAN
    rows: int
    p: float = _NAN
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
        f"{share:.0%} are needed, since early labels differ from late labels"
    )


def decay(
    holdout_losses: Any,
    batch_losses: Any,
    metric_name: str,
    from_mean: Callable[[Any], Any],
    tolerance: float = 0.1,
    remark: str = "",
) -> Decay:
    """Compare row losses (lower is better) of two sets of rows, each in order of time.

    `decay` means two things: the batch is worse at the one-sided level 1%, and the metric is worse by at least the
    share `tolerance` of its value on the holdout. With many rows, differences that do not matter are significant too.
    Losses that are not finite are decay: the model gave no usable prediction. `from_mean` turns mean losses into the
    metric. `remark` appears in the reason, for a loss that is not of the model's first metric.

    The test is Welch's (1947) with standard errors for autocorrelated rows (`error_of_mean`) and the lesser degrees of
    freedom of the two. Hall's (1992) correction is for skewed losses. Without it a batch larger than the holdout gives
    too many alarms and a smaller one too few. False alarms at 1% are 0.6 to 1.6% (`benchmarks/decay_errors.py`, 2,000
    draws). They are 2% for a batch twice as large as a holdout of 500 autocorrelated rows.
    """
    holdout, batch = sides = [np.asarray(losses, dtype=np.float64) for losses in (holdout_losses, batch_losses)]
    rows = len(batch)
    for what, losses in zip(("holdout", "batch"), sides, strict=True):
        if len(losses) < _FEWEST_ROWS:
            reason = (
                f"{len(losses)} labelled rows in the {what} are too few to judge; at least {_FEWEST_ROWS} are needed"
            )
            return Decay(verdict="insufficient labels", rows=rows, reason=reason)
    bad_holdout, bad_batch = (int(np.count_nonzero(~np.isfinite(losses))) for losses in sides)
    if bad_batch:
        reason = f"{bad_batch:,} of {rows:,} losses of the batch are not finite: no usable prediction"
        return Decay(verdict="decay", rows=rows, reason=reason)
    if bad_holdout:
        reason = f"{bad_holdout:,} losses of the holdout are not finite: there is nothing to compare the batch with"
        return Decay(verdict="insufficient labels", rows=rows, reason=reason)
    errors = [error_of_mean(losses) for losses in sides]
    ranges = [_range(losses, *error, from_mean) for losses, error in zip(sides, errors, strict=True)]
    worse, p = bool(batch.mean() > holdout.mean()), _p_worse(holdout, batch, errors)
    decision = _judge(ranges[0], ranges[1], worse, rows, p, metric_name, tolerance)
    return replace(decision, reason=f"{decision.reason}. {remark}") if remark else decision


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


def _range(losses: Floats, error: float, freedom: float, from_mean: Callable[[Any], Any]) -> MetricRange:
    mean, reach = float(losses.mean()), students_t.quantile(0.975, freedom) * error
    # a mean of losses that cannot be negative stays so, since roots and logarithms are taken of it
    bounds = from_mean(np.array([max(mean - reach, min(0.0, float(losses.min()))), mean + reach]))
    low, high = sorted(float(bound) for bound in bounds)
    return MetricRange(float(from_mean(mean)), low, high)


def _judge(
    holdout: MetricRange, batch: MetricRange, worse: bool, rows: int, p: float, metric: str, tolerance: float
) -> Decay:
    ratio = batch.value / holdout.value if holdout.value else _NAN
    change = abs(batch.value - holdout.value)
    share = change / abs(holdout.value) if holdout.value else math.inf if change else 0.0
    reason = (
        f"{metric} is {batch.value:.4g} on {rows:,} rows ({batch.low:.4g} to {batch.high:.4g}), {holdout.value:.4g} on "
        f"the holdout ({holdout.low:.4g} to {holdout.high:.4g}): {share:.0%} {'worse' if worse else 'better'}, "
        f"p {p:.3g}; decay is {tolerance:.0%} worse with p below {_ALPHA:g}"
    )
    verdict: Literal["decay", "no decay"] = "decay" if worse and p < _ALPHA and share >= tolerance else "no decay"
    return Decay(verdict=verdict, holdout=holdout, batch=batch, ratio=ratio, rows=rows, p=p, reason=reason)
