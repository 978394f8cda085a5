"""Ranking metrics for two classes, for many weightings of the same rows: all sorting is done once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mlops_assets.lazy import np


@dataclass(frozen=True)
class Ranking:
    """A metric of how scores rank n rows.

    `weighted(weights)` gives the metric (m,) for row weights (m, n), such as how often each of m resamples drew each
    row; NaN if it is not defined. `influence` (n,) is how much each row moves the metric, times n; its mean is 0.
    """

    weighted: Callable[[np.ndarray], np.ndarray]
    influence: np.ndarray


def roc_auc(truth: np.ndarray, score: np.ndarray) -> Ranking:
    """Return the area under the ROC curve: the share of correctly ranked pairs (Hanley & McNeil 1982).

    Influence is from the placement values of DeLong, DeLong & Clarke-Pearson (1988).
    """
    if not truth.any() or truth.all() or np.isnan(score).any():
        return _undefined(len(truth))
    positive, negative = (rows[np.argsort(score[rows], kind="stable")] for rows in map(np.flatnonzero, (truth, ~truth)))
    below, upto = (np.searchsorted(score[negative], score[positive], side) for side in ("left", "right"))
    ties = bool(np.any(below != upto))

    def weighted(weights: np.ndarray) -> np.ndarray:
        before = np.zeros((len(weights), len(negative) + 1))
        np.cumsum(weights[:, negative], axis=1, out=before[:, 1:])
        wins = (before[:, below] + before[:, upto]) / 2 if ties else before[:, below]
        of_positive = weights[:, positive]
        return _share((of_positive * wins).sum(axis=1), of_positive.sum(axis=1) * before[:, -1])

    area = weighted(np.ones((1, len(truth))))[0]
    under, over = (np.searchsorted(score[positive], score[negative], side) for side in ("left", "right"))
    placement = np.empty(len(truth))
    placement[positive] = ((below + upto) / 2 / len(negative) - area) / len(positive)
    placement[negative] = (1 - (under + over) / 2 / len(positive) - area) / len(negative)
    return Ranking(weighted, len(truth) * placement)


def average_precision(truth: np.ndarray, score: np.ndarray) -> Ranking:
    """Return the mean precision at each positive row, rows of equal score together, as sklearn defines it."""
    if not truth.any() or np.isnan(score).any():
        return _undefined(len(truth))
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)  # the last row of each score

    def weighted(weights: np.ndarray) -> np.ndarray:
        ordered = weights[:, order]
        hits, drawn = (np.cumsum(part, axis=1)[:, last] for part in (ordered * truth[order], ordered))
        precision = hits / np.maximum(drawn, np.finfo(np.float64).tiny)
        return _share((np.diff(hits, axis=1, prepend=0.0) * precision).sum(axis=1), hits[:, -1])

    size = np.diff(last, prepend=-1)
    hits = np.cumsum(truth[order])[last]
    new, drawn = np.diff(hits, prepend=0), last + 1.0
    # A row counts among the rows drawn at its own score and all lower ones.
    as_positive, as_row = (np.cumsum(part[::-1])[::-1] for part in (new / drawn, new * hits / drawn**2))
    own = hits / drawn - (new * hits / drawn).sum() / hits[-1]
    influence = np.empty(len(truth))
    influence[order] = truth[order] * np.repeat(own + as_positive, size) - np.repeat(as_row, size)
    return Ranking(weighted, influence * len(truth) / hits[-1])


def _undefined(rows: int) -> Ranking:
    return Ranking(lambda weights: np.full(len(weights), np.nan), np.full(rows, np.nan))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(whole > 0.0, part / np.where(whole > 0.0, whole, 1.0), np.nan))
