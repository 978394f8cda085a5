"""Which rules of retraining are worth a back-test, which one is best at a price, and how to declare it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from mlops_assets.decisions.retraining.backtest import PolicyResult
from mlops_assets.decisions.retraining.decide import duration
from mlops_assets.errors import MlopsAssetsError

EQUAL = 0.01
"""Mean losses that lie within this share of each other count as equal."""

_EVERY = (1, 2, 3, 4, 6, 12)
_OFF: dict[str, Any] = dict.fromkeys(("min_new_rows", "growth", "max_age", "cron"))
_OFF |= {"on_drift": False, "on_decay": False}
_CRONS = {"0 3 * * 1": 7.0, "0 3 1 * *": 31.0}
_VOLUME_BATCHES = 3
_TIMES = 2.0
_WORTH_A_BATCH = 0.1


@dataclass(frozen=True)
class Candidate:
    """A rule to try: fields of `Retraining` that replace those declared. `taken` promotes without a comparison."""

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    taken: bool = False


def candidates(rule: Mapping[str, Any], batches: int, rows: int, days: float | None) -> tuple[Candidate, ...]:
    """Return the rules to try beside the declared one; their order decides ties.

    rule: the fields of the declared `Retraining`.
    batches: how many are scored. rows: the median of a batch. days: the median time between two batches; None if
        batches have no time, and a cron then has no meaning.

    "Every k batches" is `min_new_rows=1` with `cool_down=k`. Its budget is raised if batches come so fast that the
    declared budget would delay it.
    """
    steps = {k: "every batch" if k == 1 else f"every {k} batches" for k in _EVERY if k < batches}
    clocks = [Candidate(name, _clock(rule, k, days)) for k, name in steps.items()]
    crons = dict.fromkeys([*([rule["cron"]] if rule["cron"] else []), *_CRONS])
    timed = [cron for cron in crons if days is not None and days < _CRONS.get(cron, float("inf")) / 2]
    volume = rule["min_new_rows"] or _VOLUME_BATCHES * rows
    return (
        Candidate("never", _OFF),
        Candidate("declared"),
        *clocks,
        *(Candidate(f"cron {cron}", {**_OFF, "cron": cron}) for cron in timed),
        Candidate("drift", {**_OFF, "on_drift": True}),
        Candidate("drift at once", {**_OFF, "on_drift": True, "confirm": (1, 1)}),
        Candidate("decay", {**_OFF, "on_decay": True}),
        Candidate("decay at once", {**_OFF, "on_decay": True, "confirm": (1, 1)}),
        Candidate("volume", {**_OFF, "min_new_rows": max(volume, 1)}),
        Candidate("growth", {**_OFF, "growth": rule["growth"] or _TIMES}),
        Candidate("drift or decay", {**_OFF, "on_drift": True, "on_decay": True}),
        *(Candidate(f"{clock.name}, taken", clock.changes, taken=True) for clock in clocks),
    )


def winner(results: Sequence[PolicyResult], price: float, equal: float = EQUAL) -> PolicyResult:
    """Return the rule with the least total: mean loss + price * retrainings / batches.

    price: what a retraining costs, in units of the loss of one batch. At 2.0 it pays when it lowers the loss by 0.5
        over four batches. Ties go to fewer retrainings, then to the given order.
    equal: the share by which a rule's mean loss may exceed that of the rule with the least total. The fewest
        retrainings win within it; 0 takes the least total itself.

    Rules that promote without a comparison cannot be declared and do not win. Raises `MlopsAssetsError` if no rule is
    left.
    """
    declarable = [result for result in results if not result.taken]
    if not declarable:
        raise MlopsAssetsError("no policy that was replayed can be declared: include one that is not 'taken'")
    least = min(declarable, key=lambda result: (total(result, price), result.retrainings))
    alike = [result for result in declarable if result.mean <= least.mean + equal * abs(least.mean)]
    return min(alike, key=lambda result: (result.retrainings, total(result, price)))


def total(result: PolicyResult, price: float) -> float:
    """Return the mean loss and cost of a replay, for each scored batch."""
    return result.mean + price * result.retrainings / len(result.losses)


def default_price(results: Sequence[PolicyResult]) -> float:
    """Return a tenth of the best rule's loss on a batch: a retraining must pay 1% of the loss over ten batches."""
    return _WORTH_A_BATCH * abs(min(result.mean for result in results if not result.taken))  # a gain's is negative


def python_snippet(settings: Mapping[str, Any]) -> str:
    """Return the declaration in Python; `settings` are the fields of `Retraining` that are not at their default."""
    fields = "".join(f"    {name}={value!r},\n" for name, value in settings.items())
    return f"retraining=Retraining(\n{fields})," if fields else "retraining=Retraining(),"


def yaml_snippet(settings: Mapping[str, Any]) -> str:
    """Return the declaration as a block of `defs.yaml`."""
    if not settings:
        return "retraining: {}"
    return "\n".join(["retraining:", *(f"  {name}: {json.dumps(value)}" for name, value in settings.items())])


def _clock(rule: Mapping[str, Any], k: int, days: float | None) -> dict[str, Any]:
    needed = int(duration(rule["period"]) / timedelta(days=k * days)) + 2 if days else 1
    budget = {"budget": needed} if needed > rule["budget"] else {}
    return {**_OFF, "min_new_rows": 1, "cool_down": k, **budget}
