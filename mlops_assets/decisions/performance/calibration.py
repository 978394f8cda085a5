"""A classifier's probabilities, calibrated on labelled rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mlops_assets.lazy import np
from mlops_assets.statistics.arrays import Booleans, Floats, Integers

FEWEST_OF_A_CLASS = 10
KNOTS_FROM = 200
_KNOTS = (0.2, 0.4, 0.6, 0.8)
_SHARPEST = 1e-4
_PULL = 1e-3


@dataclass(frozen=True)
class Calibration:
    """Calibrated probabilities of k classes given those that a model predicts, fitted on n labelled rows.

    Each class is calibrated against the rest, then all are normalised to sum to 1. Beta calibration (Kull, Silva Filho
    & Flach 2017): a logistic regression on log p and log(1 - p), with hinges at 4 quantiles if a class and the rest
    have 200 rows each. A class with fewer than 10 rows stays as predicted. Isotonic regression does not serve: its
    steps follow chance in the rows they are fitted to, which makes a model look better than it is.
    """

    classes: Mapping[int, _OneClass]

    def chances(self, probability: Floats) -> Floats:
        """Return calibrated probabilities (m, k) for predicted probabilities (m, k)."""
        chances = self._against_the_rest(probability)
        return np.asarray(chances / chances.sum(axis=1, keepdims=True))

    def influence(self, probability: Floats, moves: Floats) -> Floats:
        """Return how much each labelled row (n,), times n, moves a figure through the calibration of m other rows.

        moves: (m, k), m times the figure's derivative by the probability of each class. The result gives standard
            errors that include the error of the calibration (the sandwich; White 1982).
        """
        raw = self._against_the_rest(probability)
        total = raw.sum(axis=1, keepdims=True)
        by_chance = (moves - (raw / total * moves).sum(axis=1, keepdims=True)) / total / len(raw)
        influences = [fitted.influence(probability[:, k], by_chance[:, k]) for k, fitted in self.classes.items()]
        return np.asarray(np.sum(influences, axis=0))

    def _against_the_rest(self, probability: Floats) -> Floats:
        chances = np.maximum(probability, 1e-12)
        for column, fitted in self.classes.items():
            chances[:, column] = fitted.chance(probability[:, column])
        return chances


def calibration(probability: Floats, labels: Integers) -> Calibration:
    """Fit on probabilities (n, k) and labels (n,), numbers of classes; classes of too few rows are left out."""
    classes = {column: labels == column for column in range(probability.shape[1])}
    enough = {column: true for column, true in classes.items() if _fewer(true) >= FEWEST_OF_A_CLASS}
    return Calibration({column: _one_class(probability[:, column], true) for column, true in enough.items()})


@dataclass(frozen=True)
class _OneClass:
    """A fitted logistic regression: coefficients (p,), inverse curvature (p, p), and each row's score (n, p)."""

    knots: Floats
    coefficients: Floats
    inverse: Floats
    scores: Floats

    def chance(self, probability: Floats) -> Floats:
        return _sigmoid(_terms(probability, self.knots) @ self.coefficients)

    def influence(self, probability: Floats, by_chance: Floats) -> Floats:
        chance = self.chance(probability)
        slope = (by_chance * chance * (1.0 - chance)) @ _terms(probability, self.knots)
        return np.asarray(len(self.scores) * self.scores @ (self.inverse @ slope))


def _one_class(probability: Floats, came_true: Booleans) -> _OneClass:
    """Fit by Newton's method; a slight pull towards the predicted probability keeps separated classes finite."""
    knots = np.empty(0)
    if _fewer(came_true) >= KNOTS_FROM:
        knots = np.unique(np.quantile(_terms(probability, knots)[:, 1:].sum(axis=1), _KNOTS))
    x = _terms(probability, knots)
    coefficients = as_predicted = np.r_[0.0, 1.0, 1.0, np.zeros(len(knots))]
    for _ in range(100):
        chance = _sigmoid(x @ coefficients)
        curvature = (x * (chance * (1.0 - chance))[:, None]).T @ x + _PULL * np.eye(x.shape[1])
        step = np.linalg.solve(curvature, x.T @ (came_true - chance) - _PULL * (coefficients - as_predicted))
        coefficients = coefficients + step * min(1.0, 2.0 / max(float(np.abs(x @ step).max()), 1e-12))
        if np.abs(x @ step).max() < 1e-8:
            break
    scores = x * (came_true - _sigmoid(x @ coefficients))[:, None]
    return _OneClass(knots, coefficients, np.asarray(np.linalg.inv(curvature), dtype=np.float64), scores)


def _terms(probability: Floats, knots: Floats) -> Floats:
    """Return 1, log p, -log(1 - p), whose last two sum to the log-odds, and the log-odds beyond each knot."""
    bounded = np.clip(probability, _SHARPEST, 1.0 - _SHARPEST)
    logs = [np.log(bounded), -np.log1p(-bounded)]
    hinges = [np.maximum(logs[0] + logs[1] - knot, 0.0) for knot in knots]
    return np.column_stack([np.ones(len(bounded)), *logs, *hinges])


def _fewer(came_true: Booleans) -> int:
    true = int(came_true.sum())
    return min(true, len(came_true) - true)


def _sigmoid(score: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(score, -500.0, 500.0))))
