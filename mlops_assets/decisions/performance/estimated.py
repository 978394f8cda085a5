"""How well a classifier does on a batch that has no labels yet, estimated from its own calibrated probabilities."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mlops_assets.decisions.performance.calibration import FEWEST_OF_A_CLASS, calibration
from mlops_assets.lazy import np, scipy
from mlops_assets.modelling.metrics import class_numbers
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.statistics import students_t
from mlops_assets.statistics.arrays import Floats, Integers
from mlops_assets.statistics.standard_errors import error_of_mean

FEWEST_ROWS = 30
MOST_ROWS = 20_000
OF_MORE_CLASSES = ("accuracy", "log_loss", "brier")

_CONFIDENCE = 0.95
_SHARES = ("accuracy", "roc_auc", "f1")
_TOO_OFTEN = 0.05
_EPS = sys.float_info.epsilon


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The estimated metric on the `rows` of a batch, and bounds that hold its later value.

    `calibrated_on` is the number of holdout rows. Figures are NaN if `note` says why there are none.
    """

    metric: str
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    rows: int
    calibrated_on: int
    note: str = ""


def estimated_metric(names: Sequence[str], classes: int) -> str:
    """Return the first of these metrics that can be estimated for so many classes, else log_loss."""
    possible = tuple(_EXPECTED) if classes == 2 else OF_MORE_CLASSES
    return next((name for name in names if name in possible), "log_loss")


def estimate(metric: str, holdout_labels: Any, holdout: Predictions, batch: Predictions) -> Estimate:
    """Return the expected `metric` of a classifier on a batch (m rows, k classes) without its labels.

    Confidence-based performance estimation (CBPE, of NannyML; related: Guillory et al. 2021, Garg et al. 2022): the
    probabilities are calibrated on the holdout (n rows in order of time, at most the newest 20,000). The metric is
    expected over labels drawn from them.

    The interval holds the later value of the metric with 95% confidence. It covers the chance in the labels, more of
    it if the holdout's residuals are autocorrelated. It also covers the error of the calibration, with a standard error
    for autocorrelated rows. All of this assumes that p(label | probability) is as it was on the holdout. Other shares
    of easy and hard rows are accounted for. A label that changes its meaning for the same features (concept drift) is
    NOT seen, and the interval is wrong then.

    Figures are NaN if nothing can be estimated; `note` says why.
    """
    note = _obstacle(metric, len(holdout_labels), holdout, batch)
    calibrated_on = min(len(holdout_labels), MOST_ROWS)
    estimated = Estimate(metric=metric, rows=len(batch.value), calibrated_on=calibrated_on, note=note)
    if note:
        return estimated
    labels = class_numbers(np.asarray(holdout_labels), holdout)[-MOST_ROWS:]
    judged, unlabelled = _Scored.of(holdout, -MOST_ROWS), _Scored.of(batch)
    calibrated = calibration(judged.probability, labels)
    if not calibrated.classes:
        note = f"no class has {FEWEST_OF_A_CLASS} labelled rows in the holdout beside as many of other classes"
        return replace(estimated, note=note)
    expected, chances = _EXPECTED[metric], calibrated.chances(unlabelled.probability)
    value, moves = expected(unlabelled, chances)
    stretch, freedom = _stretch(expected, judged, calibrated.chances(judged.probability), labels)
    of_calibration, other_freedom = error_of_mean(calibrated.influence(unlabelled.probability, moves))
    error = math.hypot(stretch * _label_error(moves, chances), of_calibration)
    reach = students_t.quantile((1.0 + _CONFIDENCE) / 2.0, min(freedom, other_freedom)) * error
    high = min(1.0, value + reach) if metric in _SHARES else value + reach
    return replace(estimated, value=value, low=max(0.0, value - reach), high=high)


def coverage(past: Sequence[tuple[float, float, float]]) -> str:
    """Say in how many past batches (low, high, realised) the interval held the realised metric."""
    if not past:
        return "no past batch has been compared yet"
    advice = "" if reliable(past) else ": not to be relied on"
    return f"its interval held the truth in {_hits(past)} of {len(past)} past batches{advice}"


def reliable(past: Sequence[tuple[float, float, float]]) -> bool:
    """Return whether past intervals (low, high, realised) missed no more often than chance allows.

    False if an interval with 95% confidence would miss so often in less than 5% of cases (exact binomial test): 2
    misses in 7 batches, 3 in 16. A single miss is always accepted.
    """
    misses = len(past) - _hits(past)
    return misses < 2 or float(scipy.stats.binom.sf(misses - 1, len(past), 1.0 - _CONFIDENCE)) >= _TOO_OFTEN


def _hits(past: Sequence[tuple[float, float, float]]) -> int:
    return sum(low <= realised <= high for low, high, realised in past)


@dataclass(frozen=True)
class _Scored:
    """Rows with the probability (n, k) of each class and the number (n,) of the predicted class."""

    probability: Floats
    predicted: Integers

    @classmethod
    def of(cls, predictions: Predictions, begin: int = 0) -> _Scored:
        probability = np.asarray(predictions.probability, dtype=np.float64)
        return cls(probability[begin:], class_numbers(predictions.value, predictions)[begin:])


_Expected = Callable[[_Scored, Floats], tuple[float, Floats]]
"""From rows and their chances (n, k) to the metric, and how much each label would move it (n, k), times n."""


def _accuracy(scored: _Scored, chances: Floats) -> tuple[float, Floats]:
    return _of_rows((scored.predicted[:, None] == np.arange(chances.shape[1])).astype(np.float64), chances)


def _log_loss(scored: _Scored, chances: Floats) -> tuple[float, Floats]:
    return _of_rows(-np.log(np.clip(scored.probability, _EPS, 1.0 - _EPS)), chances)


def _brier(scored: _Scored, chances: Floats) -> tuple[float, Floats]:
    p = scored.probability
    losses = (p**2).sum(axis=1, keepdims=True) - 2.0 * p + 1.0
    return _of_rows(losses / 2.0 if chances.shape[1] == 2 else losses, chances)


def _of_rows(scores: Floats, chances: Floats) -> tuple[float, Floats]:
    return float((chances * scores).sum(axis=1).mean()), scores


def _roc_auc(scored: _Scored, chances: Floats) -> tuple[float, Floats]:
    """Compute over pairs of different rows; each label's move as in DeLong, DeLong & Clarke-Pearson (1988)."""
    level = np.unique(scored.probability[:, 1], return_inverse=True)[1]
    of_level = [np.bincount(level, chances[:, column]) for column in (0, 1)]
    negatives, positives = (float(chance.sum()) for chance in of_level)
    below, above = (np.cumsum(of_level[0]) - of_level[0] / 2), positives - np.cumsum(of_level[1]) + of_level[1] / 2
    itself = float((chances[:, 0] * chances[:, 1]).sum())
    value = (float(of_level[1] @ below) - itself / 2) / (negatives * positives - itself)
    as_negative = (above[level] / positives - value) * len(level) / negatives
    as_positive = (below[level] / negatives - value) * len(level) / positives
    return value, np.column_stack([as_negative, as_positive])


def _f1(scored: _Scored, chances: Floats) -> tuple[float, Floats]:
    positive = (scored.predicted == 1).astype(np.float64)
    total = float((positive + chances[:, 1]).mean())
    value = 2.0 * float((positive * chances[:, 1]).mean()) / total if total else 0.0
    as_positive = (2.0 * positive - value) / total if total else np.zeros(len(positive))
    return value, np.column_stack([np.zeros(len(positive)), as_positive])


_EXPECTED: dict[str, _Expected] = {
    "accuracy": _accuracy,
    "log_loss": _log_loss,
    "brier": _brier,
    "roc_auc": _roc_auc,
    "f1": _f1,
}


def _stretch(expected: _Expected, scored: _Scored, chances: Floats, labels: Integers) -> tuple[float, float]:
    """Return the error of the mean over that of independent rows, and its degrees of freedom.

    The mean is of how much each holdout row moves the metric away from its expected value.
    """
    truth = labels[:, None] == np.arange(chances.shape[1])
    residuals = ((truth - chances) * expected(scored, chances)[1]).sum(axis=1)
    error, freedom = error_of_mean(residuals)
    independent = float(residuals.std(ddof=1)) / len(residuals) ** 0.5
    return max(1.0, error / independent) if independent > 0 else 1.0, freedom


def _label_error(moves: Floats, chances: Floats) -> float:
    """Return the standard error of the metric over labels drawn from the chances, row by row."""
    mean = (chances * moves).sum(axis=1, keepdims=True)
    return float(np.sqrt((chances * (moves - mean) ** 2).sum())) / len(moves)


def _obstacle(metric: str, labels: int, holdout: Predictions, batch: Predictions) -> str:
    """Return why nothing can be estimated, or ""."""
    if holdout.classes is None or holdout.probability is None or batch.probability is None:
        return "only classifiers with probabilities can be estimated"
    possible = tuple(_EXPECTED) if len(holdout.classes) == 2 else OF_MORE_CLASSES
    if metric not in possible:
        return f"{metric} cannot be estimated for {len(holdout.classes)} classes, but {', '.join(possible)} can"
    if not (np.isfinite(holdout.probability).all() and np.isfinite(batch.probability).all()):
        return "some probabilities are not finite"
    if labels < FEWEST_ROWS or not len(batch.value):
        rows = f"{labels:,} labelled rows in the holdout and {len(batch.value):,} rows in the batch"
        return f"{rows}; at least {FEWEST_ROWS} and 1 are needed"
    return ""
