"""The metrics of the pack, and their row-by-row form."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from mlops_assets.errors import DeclarationError
from mlops_assets.lazy import np, pd
from mlops_assets.modelling.metrics.definition import Metric, Reweighted
from mlops_assets.modelling.metrics.ranking import Ranking, average_precision, roc_auc
from mlops_assets.modelling.predictions import Predictions

_EPS = sys.float_info.epsilon


def probabilities(predictions: Predictions) -> np.ndarray:
    if predictions.probability is None:
        raise DeclarationError(
            "a metric needs probabilities, and the estimator has no predict_proba. "
            "Use the metrics accuracy or f1, or an estimator that gives probabilities."
        )
    return predictions.probability


def _classes(predictions: Predictions) -> np.ndarray:
    if predictions.classes is None:
        raise DeclarationError("a metric of classification needs classes, and the model does regression.")
    return predictions.classes


def _difference(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    return np.asarray(predictions.value, dtype=np.float64) - y.astype(np.float64)


def _squared(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(_difference(y, predictions) ** 2)


def _absolute(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    return np.asarray(np.abs(_difference(y, predictions)))


def _relative(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    return np.asarray(_absolute(y, predictions) / np.maximum(np.abs(y.astype(np.float64)), _EPS))


def _r2(y: np.ndarray, predictions: Predictions) -> float:
    if len(y) < 2:
        return float("nan")
    residual = float(_squared(y, predictions).sum())
    total = float(((y.astype(np.float64) - y.astype(np.float64).mean()) ** 2).sum())
    if total == 0.0 and not np.isnan(residual):
        return 1.0 if residual == 0.0 else 0.0
    return 1.0 - residual / total if total else float("nan")


def class_numbers(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Return the position (n,) of each label among the model's classes; -1 for a class that it does not know."""
    return np.asarray(pd.Index(_classes(predictions)).get_indexer(pd.Index(y)))


def _surprise(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    number = class_numbers(y, predictions)
    probability = probabilities(predictions)[np.arange(len(y)), np.maximum(number, 0)]
    return np.asarray(-np.log(np.clip(np.where(number < 0, 0.0, probability), _EPS, 1.0 - _EPS)))


def _brier(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    number, probability = class_numbers(y, predictions), probabilities(predictions)
    truth = number[:, None] == np.arange(probability.shape[1])
    loss = ((probability - truth) ** 2).sum(axis=1) + (number < 0)
    return np.asarray(loss / 2 if probability.shape[1] == 2 else loss)


def _wrong(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    return np.asarray(predictions.value != y, dtype=np.float64)


def _class_counts(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Return columns (n, 2 k): for each class of F1, whether it was predicted correctly, then truth + predicted."""
    classes = _classes(predictions)
    labels = classes[-1:] if len(classes) == 2 else np.unique(np.concatenate([y, predictions.value]))
    truth, predicted = (values[:, None] == labels for values in (y, predictions.value))
    return np.concatenate([truth & predicted, truth.astype(np.float64) + predicted], axis=1)


def _f1_from_means(means: np.ndarray) -> np.ndarray:
    right, total = np.split(means, 2, axis=1)
    present = total > 0.0
    f1 = np.where(present, 2.0 * right / np.where(present, total, 1.0), 0.0)
    return np.asarray(f1.sum(axis=1) / np.maximum(present.sum(axis=1), 1))


def _error_and_spread(y: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Return columns (n, 3): squared error, deviation of the label from the mean, and its square."""
    centred = y.astype(np.float64) - y.astype(np.float64).mean()
    return np.column_stack([_squared(y, predictions), centred, centred**2])


def _r2_from_means(means: np.ndarray) -> np.ndarray:
    residual, centre, square = means.T
    total = square - centre**2
    varies = total > 1e-12 * square
    constant = np.where(residual == 0.0, 1.0, np.where(np.isnan(residual), np.nan, 0.0))
    return np.asarray(np.where(varies, 1.0 - residual / np.where(varies, total, 1.0), constant))


def _of_rows(
    name: str,
    kind: Literal["regression", "classification"],
    row_loss: Callable[[np.ndarray, Predictions], np.ndarray],
    from_mean: Callable[[np.ndarray], np.ndarray] = lambda mean: mean,
    greater_is_better: bool = False,
    needs_probability: bool = False,
) -> Metric:
    metric = _of_means(
        name,
        kind,
        row_statistics=lambda y, predictions: row_loss(y, predictions)[:, None],
        from_means=lambda means: from_mean(means[:, 0]),
        greater_is_better=greater_is_better,
    )
    return replace(metric, row_loss=row_loss, from_mean=from_mean, needs_probability=needs_probability)


def _of_means(
    name: str,
    kind: Literal["regression", "classification"],
    row_statistics: Callable[[np.ndarray, Predictions], np.ndarray],
    from_means: Callable[[np.ndarray], np.ndarray],
    greater_is_better: bool = True,
) -> Metric:
    def function(y: np.ndarray, predictions: Predictions) -> float:
        return float(from_means(row_statistics(y, predictions).mean(axis=0)[None])[0]) if len(y) else float("nan")

    def influence(y: np.ndarray, predictions: Predictions) -> np.ndarray:
        """Leave out each row in turn (the jackknife; Efron & Tibshirani 1993, ch. 11)."""
        columns = np.asarray(row_statistics(y, predictions), dtype=np.float64)
        rows, mean = len(columns), columns.mean(axis=0)
        without = from_means(mean + (mean - columns) / (rows - 1))
        return np.asarray((rows - 1) * (from_means(mean[None])[0] - without))

    return Metric(
        name=name,
        greater_is_better=greater_is_better,
        kind=kind,
        function=function,
        row_statistics=row_statistics,
        from_means=from_means,
        influence=influence,
    )


def _of_ranking(name: str, of_two: Callable[[np.ndarray, np.ndarray], Ranking]) -> Metric:
    """Return a ranking metric for two classes; for more, the mean over one class against the rest."""

    def rankings(y: np.ndarray, predictions: Predictions) -> list[Ranking]:
        probability, classes = probabilities(predictions), _classes(predictions)
        columns = [1] if len(classes) == 2 else range(len(classes))
        return [of_two(y == classes[column], probability[:, column]) for column in columns]

    def reweighted(y: np.ndarray, predictions: Predictions) -> Reweighted:
        of_classes = rankings(y, predictions)
        return lambda weights: np.asarray(np.mean([ranking.weighted(weights) for ranking in of_classes], axis=0))

    def function(y: np.ndarray, predictions: Predictions) -> float:
        return float(reweighted(y, predictions)(np.ones((1, len(y))))[0])

    def influence(y: np.ndarray, predictions: Predictions) -> np.ndarray:
        return np.asarray(np.mean([ranking.influence for ranking in rankings(y, predictions)], axis=0))

    return Metric(
        name=name,
        greater_is_better=True,
        kind="classification",
        function=function,
        reweighted=reweighted,
        influence=influence,
        needs_probability=True,
    )


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        # a mean of squares may be slightly below 0 after differences of sums
        _of_rows("rmse", "regression", _squared, lambda mean: np.sqrt(np.maximum(mean, 0.0))),
        _of_rows("mae", "regression", _absolute),
        _of_rows("mape", "regression", _relative),
        replace(_of_means("r2", "regression", _error_and_spread, _r2_from_means), function=_r2),
        _of_rows("log_loss", "classification", _surprise, needs_probability=True),
        _of_rows("brier", "classification", _brier, needs_probability=True),
        _of_rows("accuracy", "classification", _wrong, lambda mean: 1.0 - mean, greater_is_better=True),
        _of_means("f1", "classification", _class_counts, _f1_from_means),
        _of_ranking("roc_auc", roc_auc),
        _of_ranking("average_precision", average_precision),
    )
}
