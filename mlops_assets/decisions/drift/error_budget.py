"""A budget of false alarms over time: the level of the next batch, so that a period holds few of them."""

from dataclasses import dataclass

_FALSE_SHARE = 0.05


@dataclass(frozen=True)
class Level:
    """The level that a batch is tested at, and why."""

    value: float
    reason: str


def allowed_level(alpha: float, false_alarms: float, batches: int, alarms: int, period: str = "a period") -> Level:
    """Return the level at which `batches` tests a period give at most `false_alarms` expected false alarms.

    `batches` and `alarms` are those of this model in the period before. The level is the lesser of alpha and ((1 - q) F
    + q R) / m. Here q = 0.05, F false alarms are allowed, and there are R alarms and m batches (at least 1). Without
    drift the expected false alarms V of a period are the sum of its levels: E[V] <= (1 - q) F + q E[V], so E[V] <= F.
    Each real alarm earns q of an alarm for the next period, so that among real alarms the share of false ones stays
    near q. This is alpha investing (Foster & Stine 2008, "Alpha-investing") with a window for its memory. See also
    Ramdas, Yang, Wainwright & Jordan 2017, "Online control of the false discovery rate with decaying memory".
    """
    tests = max(batches, 1)
    allowed = f"{false_alarms:g} false alarm{'' if false_alarms == 1 else 's'}"
    budget = ((1.0 - _FALSE_SHARE) * false_alarms + _FALSE_SHARE * alarms) / tests
    if budget >= alpha:
        came = f"{tests:,} batch{'' if tests == 1 else 'es'} in {period} stay{'s' if tests == 1 else ''}"
        return Level(alpha, f"alarm below p {alpha:.2g}: {came} within {allowed}")
    earned = f", {alarms:,} alarms before" if alarms else ""
    return Level(budget, f"alarm below p {budget:.2g}: {allowed} in {period} over {tests:,} batches{earned}")
