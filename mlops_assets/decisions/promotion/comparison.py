"""Whether a challenger is better than the champion, row by row on the same holdout, with the evidence."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from mlops_assets.decisions.promotion.paired_difference import NoDifference, PairedDifference, paired_difference
from mlops_assets.errors import TrainingError
from mlops_assets.lazy import np
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.statistics import students_t
from mlops_assets.statistics.resampling import Floats
from mlops_assets.text import number

_POWER = 0.8
_ABOUT_ZERO = 0.1


@dataclass(frozen=True)
class Verdict:
    """The comparison of two models on one holdout.

    `effect` is the improvement of the challenger over the champion in the metric's units; positive is better. With
    `confidence`, the improvement is above `low`; with the same confidence it is below `high`. `p` is the share of
    resamples without an improvement above the required gain, or a paired t-test's p if greater. `block` is in rows.
    `differences` (resamples,) is the bootstrap sample of the effect, `se` its standard error. `units` counts what is
    drawn, of the kind `unit`: rows, blocks or groups. `more_rows` of the same kind would settle an inconclusive verdict
    with a power of 80% if the effect is as estimated. It is None for other verdicts and where no number is of use.
    Figures are NaN if the models cannot be compared.
    """

    verdict: Literal["promote", "keep", "inconclusive"]
    effect: float
    low: float
    high: float
    p: float
    rows: int
    block: int
    metric: str
    confidence: float
    resamples: int
    seed: int
    reason: str
    differences: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    unit: Literal["rows", "blocks", "groups"] = "rows"
    units: int = 0
    se: float = float("nan")
    more_rows: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields but the bootstrap sample, as plain values; None for NaN."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "differences"}
        return {name: None if value != value else value for name, value in values.items()}


def compare(
    y: Any,
    champion: Predictions,
    challenger: Predictions,
    metric: Metric,
    min_gain: float = 0.0,
    alpha: float = 0.05,
    resamples: int = 2_000,
    seed: int = 0,
    block: int | None = None,
    *,
    groups: Any = None,
    no_worse_by: float | None = None,
) -> Verdict:
    """Compare two models on the same n labelled rows, in order of time, by a paired bootstrap.

    `promote`: the improvement exceeds `min_gain` with one-sided confidence 1 - alpha. `keep`: it does not, with the
    same confidence, or predictions or metric are not finite. `inconclusive`: the rows do not decide.

    no_worse_by: promote a challenger that is worse by less than this, in the metric's units, in place of `min_gain`
        (non-inferiority): for a retraining whose purpose is fresh data.
    groups: the group of each row (n,), such as a customer. Whole groups are drawn (Field & Welsh 2007). Student's t on
        the number of groups less one widens the bounds (Cameron, Gelbach & Miller 2008). Groups of unequal size count
        as fewer (Kish 1965). Fewer than 10 groups are inconclusive.

    Without groups: the circular block bootstrap of Politis & Romano (1992). The block length is twice that of Politis &
    White (2004) from the rows' influence on the difference, unless `block` gives it. The bootstrap gives the interval
    its shape. Its spread is that of Student's t with the standard error of `error_of_mean`, which is reliable with few
    blocks. If few rows carry the difference (errors of high prices, heavy tails), the bootstrap's near bound is too
    near: it promotes 6.0 to 8.3% of equal models in place of 5%. So both bounds lie at least as far out as the bounds
    of a paired t-test (`paired_error`). benchmarks/gate_errors.py prints the error rates. Few rows on which one model
    errs seldom but badly still mislead the comparison. Example: lognormal losses (sigma 1) against constant losses of
    the same mean promote 11% in place of 5% at 200 rows, 7% at 1,000. Scorers of sklearn use at most 500 resamples.
    Raises `TrainingError` if lengths differ or `no_worse_by` is negative.
    """
    if no_worse_by is not None and not no_worse_by >= 0:
        raise TrainingError(f"no_worse_by is {no_worse_by}; expected 0 or more, in the units of {metric.name}.")
    found = paired_difference(y, champion, challenger, metric, resamples, seed, block, groups)
    rows = len(np.asarray(y))
    if isinstance(found, NoDifference):
        nan = float("nan")
        return Verdict(found.verdict, nan, nan, nan, nan, rows, 0, metric.name, 1 - alpha, 0, seed, found.reason)
    return _judged(found, metric.name, rows, min_gain, no_worse_by, alpha, seed)


def more_rows(distance: float, se: float, freedom: float, alpha: float, rows: int) -> int | None:
    """Return how many more rows tell, with a power of 80%, an effect from a value `distance` away; two digits count.

    None if the distance is under a tenth of its standard error: such a number is of no use.
    """
    if not abs(distance) >= _ABOUT_ZERO * se or se == 0.0:
        return None
    both = students_t.quantile(1 - alpha, freedom) + students_t.normal_quantile(_POWER)
    needed = rows * (both * se / distance) ** 2
    more = max(1, int(np.ceil(needed - rows)))
    step = int(10 ** max(0, len(str(more)) - 2))
    return -(-more // step) * step


def _judged(
    found: PairedDifference, metric: str, rows: int, min_gain: float, no_worse_by: float | None, alpha: float, seed: int
) -> Verdict:
    differences = _widened(found, alpha)
    least = min_gain if no_worse_by is None else -no_worse_by
    low, high, p = _bounds(found, differences, least, alpha)
    word: Literal["promote", "keep", "inconclusive"] = "inconclusive"
    if low > least:
        word = "promote"
    elif high <= least:
        word = "keep"
    unsettled = word == "inconclusive"
    se = max(found.se, np.nan_to_num(found.paired))
    more = more_rows(found.effect - least, se, found.freedom, alpha, rows) if unsettled else None
    reason = (
        f"{metric} {'improves' if found.effect > 0 else 'worsens' if found.effect < 0 else 'changes'} by "
        f"{number(abs(found.effect))}; the improvement lies between {number(low)} and {number(high)} "
        f"({1 - alpha:.0%} confidence each side, {_drawn(found, rows)}): {_end(word, min_gain, no_worse_by, more)}"
    )
    return Verdict(
        word,
        found.effect,
        low,
        high,
        p,
        rows,
        found.block,
        metric,
        1 - alpha,
        len(differences),
        seed,
        reason,
        differences,
        found.unit,
        found.units,
        se,
        more,
    )


def _bounds(found: PairedDifference, differences: Floats, least: float, alpha: float) -> tuple[float, float, float]:
    """Return low, high and p: from the bootstrap, or from the paired t-test on the rows if that is more cautious."""
    low, high = (float(bound) for bound in np.quantile(differences, [alpha, 1 - alpha]))
    p = (1 + int(np.count_nonzero(differences <= least))) / (1 + len(differences))
    if not found.paired > 0.0:
        return low, high, p
    reach = students_t.quantile(1 - alpha, found.paired_freedom) * found.paired
    by_t = students_t.tail((found.effect - least) / found.paired, found.paired_freedom)
    return min(low, found.effect - reach), max(high, found.effect + reach), max(p, by_t)


def _widened(found: PairedDifference, alpha: float) -> Floats:
    """Return the bootstrap sample, rescaled to the spread of Student's t at the bounds."""
    deviations = found.drawn - found.effect
    spread = float(found.drawn.std())
    if spread == 0.0:
        return found.drawn
    quantiles = students_t.quantile(1 - alpha, found.freedom) / students_t.normal_quantile(1 - alpha)
    return found.effect + deviations * (found.se / spread * quantiles)


def _drawn(found: PairedDifference, rows: int) -> str:
    if found.unit == "rows":
        return f"{rows:,} rows"
    each = f" of {found.block}" if found.unit == "blocks" else ""
    return f"{rows:,} rows in {found.units:,} {found.unit}{each}"


def _end(word: str, min_gain: float, no_worse_by: float | None, more: int | None) -> str:
    asked = f"the gain of {min_gain:.4g} that is asked for"
    if no_worse_by is not None:
        asked = f"{no_worse_by:.4g}, and no more was asked for than not to be worse by that much"
    if word == "promote":
        return f"more than {asked}" if no_worse_by is None else f"not worse by {asked}"
    if word == "keep":
        return f"no more than {asked}" if no_worse_by is None else f"worse by at least {asked}"
    rows = (
        f"about {more:,} more rows would settle it if the difference is what it seems"
        if more is not None
        else "the difference seen is so near to that, that no sensible number of rows would settle it"
    )
    over = f"it exceeds {min_gain:.4g}" if no_worse_by is None else f"it is worse by {asked}"
    return f"the rows do not tell whether {over}; {rows}"
