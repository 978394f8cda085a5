"""The difference of challenger and champion on the same rows, and how far it may be chance."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any, Literal

from mlops_assets.decisions.promotion.paired_errors import paired_error
from mlops_assets.errors import TrainingError
from mlops_assets.lazy import np
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.statistics.arrays import Floats
from mlops_assets.statistics.groups import Groups
from mlops_assets.statistics.resampling import Blocks, cautious_block
from mlops_assets.statistics.standard_errors import error_of_mean

MIN_ROWS = 20
MIN_GROUPS = 10
_RESAMPLES_IN_A_LOOP = 500


@dataclass(frozen=True, kw_only=True)
class PairedDifference:
    """The improvement of the challenger in the metric's units, positive is better.

    `drawn` (resamples,) is its bootstrap sample, unscaled. `se` is its standard error, corrected for what the bootstrap
    misses; `freedom` is the degrees of freedom of effect / se. `units` counts what is drawn: rows, blocks of `block`
    rows, or groups. `paired` and `paired_freedom` are those of a paired t-test on the rows (`paired_error`), NaN for a
    metric that has none.
    """

    effect: float
    drawn: Floats
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
    y: Any,
    champion: Predictions,
    challenger: Predictions,
    metric: Metric,
    resamples: int,
    seed: int,
    groups: Any = None,
) -> PairedDifference | NoDifference:
    """Return the difference of two models on the same n rows, resampled in pairs; see `compare` for the method."""
    labels = np.asarray(y)
    rows = len(labels)
    _same_rows(rows, champion, challenger, groups)
    champion, challenger = of_same_classes(champion, challenger)
    if rows < MIN_ROWS:
        return NoDifference("inconclusive", f"{rows} rows are too few to compare on; at least {MIN_ROWS} are needed")
    if unsound := _unsound(labels, champion, challenger):
        return NoDifference("keep", unsound)
    scores = {"champion": metric.function(labels, champion), "challenger": metric.function(labels, challenger)}
    for who, score in scores.items():
        if not np.isfinite(score):
            return NoDifference("keep", f"{metric.name} of the {who} is {score}: not comparable")
    sign = 1.0 if metric.greater_is_better else -1.0
    drawn_from = _units(labels, champion, challenger, metric, groups)
    if isinstance(drawn_from, NoDifference):
        return drawn_from
    units, missed, freedom = drawn_from
    drawn = sign * _differences(labels, champion, challenger, metric, units, resamples, seed)
    defined = drawn[np.isfinite(drawn)]
    if len(defined) < 0.9 * len(drawn):
        undefined = f"{len(drawn) - len(defined)} of {len(drawn)} resamples"
        return NoDifference("inconclusive", f"{metric.name} is not defined in {undefined}: too few rows of a class")
    own_groups = units if isinstance(units, Groups) else None
    block = 0 if isinstance(units, Groups) else units.length
    paired, paired_freedom = paired_error(labels, champion, challenger, metric, own_groups)
    return PairedDifference(
        effect=sign * (float(scores["challenger"]) - float(scores["champion"])),
        drawn=defined,
        se=float(defined.std()) * missed,
        freedom=freedom,
        unit="groups" if isinstance(units, Groups) else "rows" if block == 1 else "blocks",
        units=len(units.size) if isinstance(units, Groups) else -(-rows // block),
        block=block,
        paired=paired,
        paired_freedom=paired_freedom,
    )


def of_same_classes(champion: Predictions, challenger: Predictions) -> tuple[Predictions, Predictions]:
    """Return the predictions over the classes that either model knows: two classes change what several metrics mean.

    A class that a model does not know has probability 0.
    """
    before, after = champion.classes, challenger.classes
    if before is None or after is None or np.array_equal(before, after):
        return champion, challenger
    union = np.union1d(before, after)
    return _over(champion, before, union), _over(challenger, after, union)


def _over(predictions: Predictions, known: np.ndarray, classes: np.ndarray) -> Predictions:
    if predictions.probability is None:
        return replace(predictions, classes=classes)
    probability = np.zeros((len(predictions.probability), len(classes)))
    probability[:, np.searchsorted(classes, known)] = predictions.probability
    return replace(predictions, probability=probability, classes=classes)


def _units(
    labels: Any, champion: Predictions, challenger: Predictions, metric: Metric, groups: Any
) -> tuple[Blocks | Groups, float, float] | NoDifference:
    """Return what to draw, the factor by which its bootstrap is too narrow, and its degrees of freedom."""
    if groups is None:
        influence = metric.influence or _stand_in
        series = np.asarray(influence(labels, challenger) - influence(labels, champion), dtype=np.float64)
        blocks = Blocks(len(labels), cautious_block(series))
        error, freedom = error_of_mean(series)
        narrow = blocks.spread_of_mean(series)
        return blocks, error / narrow if narrow else 1.0, freedom
    units = Groups.of(groups)
    few = ""
    if len(units.size) < MIN_GROUPS:
        few = f"{len(units.size)} groups are too few to compare on; at least {MIN_GROUPS} are needed"
    elif units.effective < MIN_GROUPS / 2:
        few = (
            f"groups of unequal size are worth {units.effective:.1f} equal ones; at least {MIN_GROUPS / 2:g} are needed"
        )
    freedom = units.effective - 1
    return NoDifference("inconclusive", few) if few else (units, float(np.sqrt(units.effective / freedom)), freedom)


def _differences(
    labels: Any,
    champion: Predictions,
    challenger: Predictions,
    metric: Metric,
    units: Blocks | Groups,
    resamples: int,
    seed: int,
) -> Floats:
    """Return the challenger's metric less the champion's (resamples,); NaN where it is not defined."""
    if metric.row_statistics is not None:
        columns = [np.asarray(metric.row_statistics(labels, model), np.float64) for model in (champion, challenger)]
        means = units.means(np.hstack(columns), resamples, seed)
        # models may know different numbers of classes, and have so many columns
        before, after = (metric.from_means(part) for part in np.split(means, [columns[0].shape[1]], axis=1))
        return np.asarray(after - before, dtype=np.float64)
    if metric.reweighted is not None:
        of_champion, of_challenger = (metric.reweighted(labels, model) for model in (champion, challenger))
        return np.concatenate([of_challenger(part) - of_champion(part) for part in units.weights(resamples, seed)])
    score = metric.function
    weights = itertools.chain.from_iterable(units.weights(min(resamples, _RESAMPLES_IN_A_LOOP), seed))
    positions = (np.repeat(np.arange(len(labels)), weight.astype(np.int64)) for weight in weights)
    return np.array(
        [score(labels[rows], challenger.take(rows)) - score(labels[rows], champion.take(rows)) for rows in positions]
    )


def _same_rows(rows: int, champion: Predictions, challenger: Predictions, groups: Any) -> None:
    if not rows == len(champion.value) == len(challenger.value):
        raise TrainingError(
            f"the comparison needs predictions for the same rows: {rows:,} labels, {len(champion.value):,} of the "
            f"champion, {len(challenger.value):,} of the challenger. Score the same holdout with both."
        )
    if groups is not None and len(groups) != rows:
        raise TrainingError(f"groups have {len(groups):,} rows, the labels {rows:,}; expected the same rows.")


def _unsound(labels: Any, champion: Predictions, challenger: Predictions) -> str:
    """Return why predictions or labels cannot be compared, or ""."""
    parts = {
        "of the champion's predictions": champion.value,
        "of the champion's probabilities": champion.probability,
        "of the challenger's predictions": challenger.value,
        "of the challenger's probabilities": challenger.probability,
        "labels": labels,
    }
    for what, values in parts.items():
        if bad := 0 if values is None else _not_finite(np.asarray(values)):
            return f"{bad:,} {what} are missing or infinite: not comparable"
    return ""


def _not_finite(values: Any) -> int:
    if values.dtype.kind in "fc":
        return int(np.count_nonzero(~np.isfinite(values)))
    return sum(value is None or value != value for value in values.ravel()) if values.dtype.kind == "O" else 0


def _stand_in(labels: Any, predictions: Predictions) -> Any:
    """Return row losses (n,) that show the rows' autocorrelation, for a metric without influence values."""
    if predictions.classes is None:
        return (labels - predictions.value) ** 2
    if predictions.probability is None:
        return np.asarray(labels != predictions.value, dtype=np.float64)
    return np.sum(((np.asarray(predictions.classes) == labels[:, None]) - predictions.probability) ** 2, axis=1)
