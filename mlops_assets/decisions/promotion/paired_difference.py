"""The difference of challenger and champion on the same rows, and how far it may be chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from mlops_assets.decisions.promotion.paired_errors import paired_error
from mlops_assets.errors import TrainingError
from mlops_assets.lazy import np
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.statistics.groups import Groups
from mlops_assets.statistics.resampling import (
    Floats,
    block_error,
    cautious_block,
    resampled_means,
    resampled_rows,
    resampled_weights,
    usable_block,
)
from mlops_assets.statistics.standard_errors import error_of_mean

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_ROWS = 20
MIN_GROUPS = 10
_RESAMPLES_IN_A_LOOP = 500


@dataclass(frozen=True)
class Blocks:
    """Blocks of neighbouring rows, drawn from n `rows` in order of time; with a `length` of 1, single rows."""

    rows: int
    length: int

    def means(self, columns: Floats, resamples: int, seed: int) -> Floats:
        return resampled_means(columns, self.length, resamples, seed)

    def weights(self, resamples: int, seed: int) -> Iterator[Floats]:
        return resampled_weights(self.rows, self.length, resamples, seed)

    def positions(self, resamples: int, seed: int) -> Iterator[NDArray[np.int64]]:
        return resampled_rows(self.rows, self.length, resamples, seed)


@dataclass(frozen=True)
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
    block: int | None = None,
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
    found = _units(labels, champion, challenger, metric, block, groups)
    if isinstance(found, NoDifference):
        return found
    units, missed, freedom = found
    drawn = sign * _differences(labels, champion, challenger, metric, units, resamples, seed)
    known = drawn[np.isfinite(drawn)]
    if len(known) < 0.9 * len(drawn):
        undefined = f"{len(drawn) - len(known)} of {len(drawn)} resamples"
        return NoDifference("inconclusive", f"{metric.name} is not defined in {undefined}: too few rows of a class")
    effect = sign * (float(scores["challenger"]) - float(scores["champion"]))
    se = float(known.std()) * missed
    within = units if isinstance(units, Groups) else None
    paired = paired_error(labels, champion, challenger, metric, within, block > 1 if block else None)
    if isinstance(units, Groups):
        return PairedDifference(effect, known, se, freedom, "groups", len(units.size), 0, *paired)
    kind: Literal["rows", "blocks"] = "rows" if units.length == 1 else "blocks"
    return PairedDifference(effect, known, se, freedom, kind, -(-rows // units.length), units.length, *paired)


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
    probability = predictions.probability
    if probability is not None:
        wider = np.zeros((len(probability), len(classes)))
        wider[:, np.searchsorted(classes, known)] = probability
        probability = wider
    return replace(predictions, probability=probability, classes=classes)


def _units(
    labels: Any, champion: Predictions, challenger: Predictions, metric: Metric, block: int | None, groups: Any
) -> tuple[Blocks | Groups, float, float] | NoDifference:
    """Return what to draw, the factor by which its bootstrap is too narrow, and its degrees of freedom."""
    if groups is not None:
        found = Groups.of(groups)
        if len(found.size) < MIN_GROUPS:
            few = f"{len(found.size)} groups are too few to compare on; at least {MIN_GROUPS} are needed"
            return NoDifference("inconclusive", few)
        if found.effective < MIN_GROUPS / 2:
            few = f"groups of unlike size are worth {found.effective:.1f} alike; at least {MIN_GROUPS / 2:g} are needed"
            return NoDifference("inconclusive", few)
        freedom = found.effective - 1
        return found, float(np.sqrt(found.effective / freedom)), freedom
    of_row = metric.influence or _stand_in
    series = np.asarray(of_row(labels, challenger) - of_row(labels, champion), dtype=np.float64)
    length = usable_block(block, len(labels)) if block else cautious_block(series)
    if 2 * length > len(labels):
        return NoDifference("inconclusive", f"{len(labels):,} rows are less than two blocks of {length:,}")
    error, freedom = error_of_mean(series, dependent=block > 1 if block else None)
    narrow = block_error(series, length)
    return Blocks(len(labels), length), error / narrow if narrow else 1.0, freedom


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
        columns = [np.asarray(metric.row_statistics(labels, said), np.float64) for said in (champion, challenger)]
        means = units.means(np.hstack(columns), resamples, seed)
        # models may know different numbers of classes, and have so many columns
        before, after = (metric.from_means(part) for part in np.split(means, [columns[0].shape[1]], axis=1))
        return np.asarray(after - before, dtype=np.float64)
    if metric.reweighted is not None:
        of_champion, of_challenger = (metric.reweighted(labels, said) for said in (champion, challenger))
        return np.concatenate([of_challenger(part) - of_champion(part) for part in units.weights(resamples, seed)])
    score = metric.function
    return np.array(
        [
            score(labels[index], challenger.take(index)) - score(labels[index], champion.take(index))
            for index in units.positions(min(resamples, _RESAMPLES_IN_A_LOOP), seed)
        ]
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
    if values.dtype.kind != "O":
        return 0
    return int(np.count_nonzero([value is None or value != value for value in values.ravel()]))


def _stand_in(labels: Any, said: Predictions) -> Any:
    """Return row losses (n,) that show the rows' autocorrelation, for a metric without influence values."""
    if said.classes is None:
        return (labels - said.value) ** 2
    if said.probability is None:
        return np.asarray(labels != said.value, dtype=np.float64)
    return np.sum(((np.asarray(said.classes) == labels[:, None]) - said.probability) ** 2, axis=1)
