"""Whether a challenger is better than the champion, row by row on the same holdout, with the evidence."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from mlops_assets.decisions.resampling import (
    Floats,
    cautious_block,
    resampled_means,
    resampled_rows,
    usable_block,
    widening,
)
from mlops_assets.errors import TrainingError

_MIN_ROWS = 20
_SLOW_RESAMPLES = 500


class Predicted(Protocol):
    """What `modelling.predictions.Predictions` offers."""

    @property
    def value(self) -> Any: ...

    @property
    def probability(self) -> Any: ...

    @property
    def classes(self) -> Any: ...

    def take(self, index: Any) -> Any: ...


P = TypeVar("P", bound=Predicted)


class Measure(Protocol):
    """What `modelling.metrics.Metric` offers."""

    @property
    def name(self) -> str: ...

    @property
    def greater_is_better(self) -> bool: ...

    @property
    def function(self) -> Callable[[Any, Any], float]: ...

    @property
    def row_loss(self) -> Callable[[Any, Any], Any] | None: ...

    @property
    def from_mean(self) -> Callable[[Any], Any]: ...


@dataclass(frozen=True)
class Verdict:
    """The comparison of two models on one holdout.

    `effect` is the improvement of the challenger over the champion in the metric's units, positive is better. The
    improvement is above `low`, and below `high`, each with `confidence`. `p` is the share of resamples without an
    improvement of more than the gain asked for. `block` is in rows. `differences` (resamples,) is the bootstrap's
    sample of the effect. All figures are NaN where the models could not be compared.
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

    def to_dict(self) -> dict[str, Any]:
        """All but the sample, as plain values; None for NaN."""
        values = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "differences"}
        return {name: None if value != value else value for name, value in values.items()}


def compare(
    y: Any,
    champion: P,
    challenger: P,
    metric: Measure,
    min_gain: float = 0.0,
    alpha: float = 0.05,
    resamples: int = 2_000,
    seed: int = 0,
    block: int | None = None,
) -> Verdict:
    """Compare two models on the same labelled rows, in order of time, by a paired circular block bootstrap.

    `promote`: the improvement exceeds `min_gain` with one-sided confidence 1 - alpha. `keep`: it does not, with the
    same confidence, or predictions or metric are not finite. `inconclusive`: the rows do not tell.

    Politis & Romano (1992) for the circular bootstrap; the block length is twice that of Politis & White (2004) from
    the row differences of the losses, unless `block` gives it. Bounds are widened where blocks are few (see
    `widening`). Equal models are promoted in 5% of cases when rows are independent, in 5 to 10% when they are few and
    hang together (simulated).
    Metrics that are no mean over rows use at most 500 resamples. Raises `TrainingError` when lengths differ.
    """
    labels = np.asarray(y)
    rows = len(labels)
    if not rows == len(champion.value) == len(challenger.value):
        raise TrainingError(
            f"the comparison needs predictions for the same rows: {rows:,} labels, {len(champion.value):,} of the "
            f"champion, {len(challenger.value):,} of the challenger. Score the same holdout with both."
        )

    def verdict(word: Literal["promote", "keep", "inconclusive"], reason: str) -> Verdict:
        nan = float("nan")
        return Verdict(word, nan, nan, nan, nan, rows, 0, metric.name, 1 - alpha, 0, seed, reason)

    if rows < _MIN_ROWS:
        return verdict("inconclusive", f"{rows} rows are too few to compare on; at least {_MIN_ROWS} are needed")
    if unsound := _unsound(labels, champion, challenger):
        return verdict("keep", unsound)
    scores = {"champion": metric.function(labels, champion), "challenger": metric.function(labels, challenger)}
    for who, score in scores.items():
        if not np.isfinite(score):
            return verdict("keep", f"{metric.name} of the {who} is {score}: not comparable")
    sign = 1.0 if metric.greater_is_better else -1.0
    effect = sign * (float(scores["challenger"]) - float(scores["champion"]))
    losses = _row_losses(labels, champion, challenger, metric)
    used = usable_block(block, rows) if block else cautious_block(losses[:, 0] - losses[:, 1])
    if metric.row_loss is not None:
        means = resampled_means(losses, used, resamples, seed)
        drawn = sign * (metric.from_mean(means[:, 1]) - metric.from_mean(means[:, 0]))
    else:
        drawn = sign * _slow_differences(
            labels, champion, challenger, metric, used, min(resamples, _SLOW_RESAMPLES), seed
        )
    drawn = np.asarray(drawn, dtype=np.float64)
    known = drawn[np.isfinite(drawn)]
    if len(known) < 0.9 * len(drawn):
        undefined = f"{len(drawn) - len(known)} of {len(drawn)} resamples"
        reason = f"{metric.name} is not defined in {undefined}: too few rows of a class"
        return verdict("inconclusive", reason)
    return _judged(effect, known, min_gain, alpha, rows, used, metric.name, seed)


def _judged(
    effect: float, drawn: Floats, min_gain: float, alpha: float, rows: int, block: int, metric: str, seed: int
) -> Verdict:
    deviations = drawn - effect
    stretch = widening(rows, block, alpha)
    differences = effect + deviations * stretch if np.any(deviations) else drawn
    low, high = (float(bound) for bound in np.quantile(differences, [alpha, 1 - alpha]))
    p = (1 + int(np.count_nonzero(differences <= min_gain))) / (1 + len(differences))
    word: Literal["promote", "keep", "inconclusive"] = "inconclusive"
    if low > min_gain:
        word, end = "promote", f"more than the gain of {min_gain:.4g} that is asked for"
    elif high <= min_gain:
        word, end = "keep", f"no more than the gain of {min_gain:.4g} that is asked for"
    else:
        end = f"the rows do not tell whether it exceeds {min_gain:.4g}"
    reason = (
        f"{metric} {'improves' if effect > 0 else 'worsens' if effect < 0 else 'changes'} by {abs(effect):.4g}; the "
        f"improvement lies between {low:.4g} and {high:.4g} ({1 - alpha:.0%} confidence each side, {rows:,} rows in "
        f"blocks of {block}): {end}"
    )
    return Verdict(
        word, effect, low, high, p, rows, block, metric, 1 - alpha, len(differences), seed, reason, differences
    )


def _unsound(labels: Any, champion: Predicted, challenger: Predicted) -> str:
    """Why predictions or labels cannot be compared, or an empty string."""
    for who, said in (("champion", champion), ("challenger", challenger)):
        for what, values in (("predictions", said.value), ("probabilities", said.probability)):
            bad = 0 if values is None else _not_finite(np.asarray(values))
            if bad:
                return f"{bad:,} of the {who}'s {what} are missing or infinite: not comparable"
    bad = _not_finite(labels)
    return f"{bad:,} labels are missing or infinite: not comparable" if bad else ""


def _not_finite(values: Any) -> int:
    if values.dtype.kind in "fc":
        return int(np.count_nonzero(~np.isfinite(values)))
    return (
        int(np.count_nonzero([value is None or value != value for value in values.ravel()]))
        if values.dtype.kind == "O"
        else 0
    )


def _row_losses(labels: Any, champion: Predicted, challenger: Predicted, metric: Measure) -> Floats:
    """Losses (n, 2) of champion and challenger; where the metric has none, stand-ins to take a block length from."""
    columns = []
    for said in (champion, challenger):
        loss = metric.row_loss(labels, said) if metric.row_loss is not None else _stand_in(labels, said)
        columns.append(np.asarray(loss, dtype=np.float64))
    return np.column_stack(columns)


def _stand_in(labels: Any, said: Predicted) -> Any:
    if said.classes is None:
        return (labels - said.value) ** 2
    if said.probability is None:
        return labels != said.value
    return ((np.asarray(said.classes) == labels[:, None]) - said.probability) ** 2 @ np.ones(len(said.classes))


def _slow_differences(
    labels: Any, champion: P, challenger: P, metric: Measure, block: int, resamples: int, seed: int
) -> Floats:
    return np.array(
        [
            metric.function(labels[index], challenger.take(index))
            - metric.function(labels[index], champion.take(index))
            for index in resampled_rows(len(labels), block, resamples, seed)
        ],
        dtype=np.float64,
    )
