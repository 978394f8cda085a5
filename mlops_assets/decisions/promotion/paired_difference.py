"""The difference of challenger and champion on the same rows, and how far it may be chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal

from mlops_assets.decisions.promotion.rivals import Rivals
from mlops_assets.lazy import np
from mlops_assets.modelling.engine import HERE, Engine
from mlops_assets.modelling.in_order import in_order
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.metrics import metric as metric_of
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.statistics.arrays import Floats
from mlops_assets.statistics.groups import Groups
from mlops_assets.statistics.resampling import Blocks, Seed, cautious_block, in_parts
from mlops_assets.statistics.standard_errors import error_of_mean

MIN_ROWS = 20
MIN_GROUPS = 10
_RESAMPLES_IN_A_LOOP = 500
_MANY = 100_000_000
_RESAMPLES_OF_A_TASK = 100
_NEAR = 1e-6
_STEP = 1e-4


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """The improvement of the challenger in the metric's units, positive is better.

    `sample` (resamples,) is the bootstrap's, unscaled. `se` is its standard error, corrected for what the bootstrap
    misses; `freedom` is the degrees of freedom of effect / se. `units` counts what is drawn: rows, blocks of `block`
    rows, or groups. `paired` and `paired_freedom` are those of a paired t-test on the rows (`_paired_error`), NaN for a
    metric that has none.
    """

    effect: float
    sample: Floats
    se: float
    freedom: float
    unit: Literal["rows", "blocks", "groups"]
    units: int
    block: int
    paired: float
    paired_freedom: float


@dataclass(frozen=True)
class NoDifference:
    """Why there is no difference, and the verdict that follows."""

    verdict: Literal["keep", "inconclusive"]
    reason: str


def paired_difference(
    rivals: Rivals, metric: Metric, resamples: int, seed: int, engine: Engine = HERE
) -> PairedDifference | NoDifference:
    """Return the difference of two models on the same n rows, resampled in pairs; see `compare` for the method."""
    rows = len(rivals.labels)
    if rows < MIN_ROWS:
        return NoDifference("inconclusive", f"{rows} rows are too few to compare on; at least {MIN_ROWS} are needed")
    if unsound := rivals.unsound():
        return NoDifference("keep", unsound)
    before, after = (float(score) for score in rivals.apply(metric.function))
    for who, score in (("champion", before), ("challenger", after)):
        if not np.isfinite(score):
            return NoDifference("keep", f"{metric.name} of the {who} is {score}: not comparable")
    resampling = _units(rivals, metric)
    if isinstance(resampling, NoDifference):
        return resampling
    units, inflation, freedom = resampling
    sign = 1.0 if metric.greater_is_better else -1.0
    drawn = sign * _differences(rivals, metric, units, resamples, seed, engine)
    sample = drawn[np.isfinite(drawn)]
    if len(sample) < 0.9 * len(drawn):
        undefined = f"{len(drawn) - len(sample)} of {len(drawn)} resamples"
        return NoDifference("inconclusive", f"{metric.name} is not defined in {undefined}: too few rows of a class")
    groups = units if isinstance(units, Groups) else None
    block = 0 if isinstance(units, Groups) else units.length
    paired, paired_freedom = _paired_error(rivals, metric, groups)
    return PairedDifference(
        effect=sign * (after - before),
        sample=sample,
        se=float(sample.std()) * inflation,
        freedom=freedom,
        unit="groups" if groups else "rows" if block == 1 else "blocks",
        units=len(groups.size) if groups else -(-rows // block),
        block=block,
        paired=paired,
        paired_freedom=paired_freedom,
    )


def _units(rivals: Rivals, metric: Metric) -> tuple[Blocks | Groups, float, float] | NoDifference:
    """Return what to draw, the factor by which its bootstrap is too narrow, and its degrees of freedom."""
    if rivals.groups is None:
        before, after = rivals.apply(metric.influence or _stand_in)
        series = np.asarray(after - before, dtype=np.float64)
        blocks = Blocks(len(series), cautious_block(series))
        error, freedom = error_of_mean(series)
        narrow = blocks.spread_of_mean(series)
        return blocks, error / narrow if narrow else 1.0, freedom
    groups = Groups.of(rivals.groups)
    few = ""
    if len(groups.size) < MIN_GROUPS:
        few = f"{len(groups.size)} groups are too few to compare on; at least {MIN_GROUPS} are needed"
    elif groups.effective < MIN_GROUPS / 2:
        worth = f"groups of unequal size are worth {groups.effective:.1f} equal ones"
        few = f"{worth}; at least {MIN_GROUPS / 2:g} are needed"
    freedom = groups.effective - 1
    return NoDifference("inconclusive", few) if few else (groups, float(np.sqrt(groups.effective / freedom)), freedom)


def takes_long(metric: Metric, rows: int, resamples: int = 2_000) -> bool:
    """Whether the resamples of a metric over so many rows take more than some seconds, so that an engine pays."""
    return metric.row_statistics is None and rows * resamples > _MANY


def _differences(
    rivals: Rivals, metric: Metric, units: Blocks | Groups, resamples: int, seed: int, engine: Engine
) -> Floats:
    """Return the challenger's metric less the champion's (resamples,); NaN where it is not defined."""
    if metric.row_statistics is not None:
        columns = [np.asarray(statistics, np.float64) for statistics in rivals.apply(metric.row_statistics)]
        means = units.means(np.hstack(columns), resamples, seed)
        # models may know different numbers of classes, and have so many columns
        before, after = (metric.from_means(part) for part in np.split(means, [columns[0].shape[1]], axis=1))
        return np.asarray(after - before, dtype=np.float64)
    if metric.reweighted is None:
        resamples = min(resamples, _RESAMPLES_IN_A_LOOP)
    if engine.at_once == 1 or not takes_long(metric, len(rivals.labels), resamples):
        return _one_by_one(rivals, metric, units, resamples, seed)
    parts = in_parts(units, resamples, seed, _RESAMPLES_OF_A_TASK)
    return np.concatenate(list(in_order(engine, _part, (rivals, metric.name, units), parts)))


def _part(shared: tuple[Rivals, str, Blocks | Groups], part: tuple[int, np.random.Generator]) -> Floats:
    """Return the differences (m,) of the next m resamples of a generator; a metric goes to a worker by its name."""
    rivals, name, units = shared
    return _one_by_one(rivals, metric_of(name), units, *part)


def _one_by_one(rivals: Rivals, metric: Metric, units: Blocks | Groups, resamples: int, seed: Seed) -> Floats:
    weights = units.weights(resamples, seed)
    if metric.reweighted is not None:
        of_champion, of_challenger = rivals.apply(metric.reweighted)
        return np.concatenate([of_challenger(some) - of_champion(some) for some in weights])
    differences = []
    for drawn in chain.from_iterable(weights):
        before, after = rivals.take(np.repeat(np.arange(len(drawn)), drawn.astype(np.int64))).apply(metric.function)
        differences.append(after - before)
    return np.array(differences)


def _stand_in(labels: Any, predictions: Predictions) -> Any:
    """Return row losses (n,) that show the rows' autocorrelation, for a metric without influence values."""
    if predictions.classes is None:
        return (labels - predictions.value) ** 2
    if predictions.probability is None:
        return np.asarray(labels != predictions.value, dtype=np.float64)
    return np.sum(((np.asarray(predictions.classes) == labels[:, None]) - predictions.probability) ** 2, axis=1)


def _paired_error(rivals: Rivals, metric: Metric, groups: Groups | None) -> tuple[float, float]:
    """Return the standard error of the difference in the metric's units and its degrees of freedom, NaN if not defined.

    For a metric f of the mean row loss, f(a) - f(b) over its standard error is the losses' paired t. If few rows carry
    the difference, such as the errors of high prices, a bootstrap of f has unequal spreads. The rows that make the
    difference great bring the bound on the other side too near. Other metrics use the influence of the rows. With
    groups, the sums over each group are independent (Cameron, Gelbach & Miller 2008).
    """
    series = _series(rivals, metric)
    if series is None or not np.isfinite(series).all():
        return float("nan"), float(len(rivals.labels) - 1)
    return error_of_mean(series) if groups is None else groups.error_of_mean(series)


def _series(rivals: Rivals, metric: Metric) -> Floats | None:
    """Return values of the rows (n,) whose mean has the same error as the difference of the metric, in its units."""
    if metric.row_loss is not None:
        before, after = (np.asarray(losses, dtype=np.float64) for losses in rivals.apply(metric.row_loss))
        return (after - before) * _slope(metric.from_mean, float(before.mean()), float(after.mean()))
    if metric.influence is None:
        return None
    before, after = rivals.apply(metric.influence)
    return np.asarray(after - before, dtype=np.float64)


def _slope(from_mean: Callable[[Any], Any], one: float, other: float) -> float:
    """Return how much the metric changes per unit of the mean loss between the two."""
    if abs(one - other) <= _NEAR * max(abs(one), abs(other)):
        one, other = one * (1 + _STEP), one * (1 - _STEP)
    if one == other:
        return 1.0
    values = from_mean(np.array([one, other]))
    return abs(float(values[0] - values[1]) / (one - other))
