"""Whether a challenger is better than the champion, row by row on the same holdout, with the evidence."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mlops_assets.decisions.promotion.paired_difference import NoDifference, PairedDifference, paired_difference
from mlops_assets.decisions.promotion.rivals import Rivals
from mlops_assets.errors import TrainingError
from mlops_assets.lazy import np
from mlops_assets.modelling.engine import HERE, Engine
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.statistics import students_t
from mlops_assets.statistics.arrays import Floats
from mlops_assets.text import number

Word = Literal["promote", "keep", "inconclusive"]

_POWER = 0.8
_ABOUT_ZERO = 0.1
_NAN = float("nan")


@dataclass(frozen=True, kw_only=True)
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

    verdict: Word
    effect: float = _NAN
    low: float = _NAN
    high: float = _NAN
    p: float = _NAN
    rows: int
    block: int = 0
    metric: str
    confidence: float
    resamples: int = 0
    seed: int
    reason: str
    differences: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    unit: Literal["rows", "blocks", "groups"] = "rows"
    units: int = 0
    se: float = _NAN
    more_rows: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields but the bootstrap sample, as plain values; None for NaN."""
        return {name: None if value != value else value for name, value in vars(self).items() if name != "differences"}


def compare(
    y: Any,
    champion: Predictions,
    challenger: Predictions,
    metric: Metric,
    min_gain: float = 0.0,
    alpha: float = 0.05,
    resamples: int = 2_000,
    seed: int = 0,
    *,
    groups: Any = None,
    no_worse_by: float | None = None,
    engine: Engine = HERE,
) -> Verdict:
    """Compare two models on the same n labelled rows, in order of time, by a paired bootstrap.

    `promote`: the improvement exceeds `min_gain` with one-sided confidence 1 - alpha. `keep`: it does not, with the
    same confidence, or predictions or metric are not finite. `inconclusive`: the rows do not decide.

    no_worse_by: promote a challenger that is worse by less than this, in the metric's units, in place of `min_gain`
        (non-inferiority): for a retraining whose purpose is fresh data.
    groups: the group of each row (n,), such as a customer. Whole groups are drawn (Field & Welsh 2007). Student's t on
        the number of groups less one widens the bounds (Cameron, Gelbach & Miller 2008). Groups of unequal size count
        as fewer (Kish 1965). Fewer than 10 groups are inconclusive.

    engine: what computes the resamples of a ranking metric or a scorer of sklearn, if there are many rows. The verdict
        does not depend on it.

    Without groups: the circular block bootstrap of Politis & Romano (1992). The block length is twice that of Politis &
    White (2004) from the rows' influence on the difference. The bootstrap gives the interval its shape. Its spread is
    that of Student's t with the standard error of `error_of_mean`, which is reliable with few blocks. If few rows carry
    the difference (errors of high prices, heavy tails), the bootstrap's near bound is too near: it promotes 6.0 to 8.3%
    of equal models in place of 5%. So both bounds lie at least as far out as the bounds of a paired t-test
    (`paired_difference`). benchmarks/gate_errors.py prints the error rates. Few rows on which one model errs seldom but
    badly still mislead the comparison. Example: lognormal losses (sigma 1) against constant losses of the same mean
    promote 11% in place of 5% at 200 rows, 7% at 1,000. Scorers of sklearn use at most 500 resamples.
    Raises `TrainingError` if lengths differ or `no_worse_by` is negative.
    """
    if no_worse_by is not None and not no_worse_by >= 0:
        raise TrainingError(f"no_worse_by is {no_worse_by}; expected 0 or more, in the units of {metric.name}.")
    difference = paired_difference(Rivals.of(y, champion, challenger, groups), metric, resamples, seed, engine)
    verdict = Verdict(
        verdict="inconclusive", rows=len(y), metric=metric.name, confidence=1 - alpha, seed=seed, reason=""
    )
    if isinstance(difference, NoDifference):
        return replace(verdict, verdict=difference.verdict, reason=difference.reason)
    return _judge(verdict, difference, min_gain, no_worse_by, alpha)


def more_rows(distance: float, se: float, freedom: float, alpha: float, rows: int) -> int | None:
    """Return how many more rows tell, with a power of 80%, an effect from a value `distance` away; two digits count.

    None if the distance is under a tenth of its standard error: such a number is of no use.
    """
    if not abs(distance) >= _ABOUT_ZERO * se or se == 0.0:
        return None
    quantiles = students_t.quantile(1 - alpha, freedom) + students_t.normal_quantile(_POWER)
    needed = rows * (quantiles * se / distance) ** 2
    more = max(1, int(np.ceil(needed - rows)))
    step = int(10 ** max(0, len(str(more)) - 2))
    return -(-more // step) * step


def _judge(
    verdict: Verdict, difference: PairedDifference, min_gain: float, no_worse_by: float | None, alpha: float
) -> Verdict:
    effect, differences = difference.effect, _widen(difference, alpha)
    least = min_gain if no_worse_by is None else -no_worse_by
    low, high, p = _bounds(difference, differences, least, alpha)
    word: Word = "promote" if low > least else "keep" if high <= least else "inconclusive"
    se, more = max(difference.se, np.nan_to_num(difference.paired)), None
    if word == "inconclusive":
        more = more_rows(effect - least, se, difference.freedom, alpha, verdict.rows)
    reason = (
        f"{verdict.metric} {'improves' if effect > 0 else 'worsens' if effect < 0 else 'changes'} by "
        f"{number(abs(effect))}; the improvement lies between {number(low)} and {number(high)} "
        f"({1 - alpha:.0%} confidence each side, {_sample_text(difference, verdict.rows)}): "
        f"{_end(word, min_gain, no_worse_by, more)}"
    )
    verdict = replace(verdict, block=difference.block, unit=difference.unit, units=difference.units)
    verdict = replace(verdict, differences=differences, resamples=len(differences), se=se, more_rows=more)
    return replace(verdict, verdict=word, effect=effect, low=low, high=high, p=p, reason=reason)


def _bounds(
    difference: PairedDifference, differences: Floats, least: float, alpha: float
) -> tuple[float, float, float]:
    """Return low, high and p: from the bootstrap, or from the paired t-test on the rows if that is more cautious."""
    low, high = (float(bound) for bound in np.quantile(differences, [alpha, 1 - alpha]))
    p = (1 + int(np.count_nonzero(differences <= least))) / (1 + len(differences))
    if not difference.paired > 0.0:
        return low, high, p
    reach = students_t.quantile(1 - alpha, difference.paired_freedom) * difference.paired
    by_t = students_t.tail((difference.effect - least) / difference.paired, difference.paired_freedom)
    return min(low, difference.effect - reach), max(high, difference.effect + reach), max(p, by_t)


def _widen(difference: PairedDifference, alpha: float) -> Floats:
    """Return the bootstrap sample, rescaled to the spread of Student's t at the bounds."""
    spread = float(difference.sample.std())
    if spread == 0.0:
        return difference.sample
    quantiles = students_t.quantile(1 - alpha, difference.freedom) / students_t.normal_quantile(1 - alpha)
    return difference.effect + (difference.sample - difference.effect) * (difference.se / spread * quantiles)


def _sample_text(difference: PairedDifference, rows: int) -> str:
    if difference.unit == "rows":
        return f"{rows:,} rows"
    length = f" of {difference.block}" if difference.unit == "blocks" else ""
    return f"{rows:,} rows in {difference.units:,} {difference.unit}{length}"


def _end(verdict: str, min_gain: float, no_worse_by: float | None, more: int | None) -> str:
    if no_worse_by is None:
        limit, promote, keep, unclear = (
            f"the required gain of {min_gain:.4g}",
            "more than",
            "no more than",
            "it exceeds",
        )
    else:
        limit = f"the tolerated loss of {no_worse_by:.4g}"
        promote, keep, unclear = "not worse by", "worse by at least", "it is worse by"
    if verdict != "inconclusive":
        return f"{promote if verdict == 'promote' else keep} {limit}"
    rows = "the estimated difference is so near to it that no sensible number of rows would settle it"
    if more is not None:
        rows = f"about {more:,} more rows would settle it if the difference is as estimated"
    return f"the rows do not show whether {unclear} {limit}; {rows}"
