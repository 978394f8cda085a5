"""Scorers of sklearn, and the user's own, as metrics: slower than the pack's, since each resample is scored again."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from numbers import Real
from typing import Any

from mlops_assets.errors import DeclarationError
from mlops_assets.lazy import np, sklearn
from mlops_assets.modelling.metrics.built_in import class_numbers
from mlops_assets.modelling.metrics.definition import Metric
from mlops_assets.modelling.metrics.own import OwnMetric
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.text import reason, shown


@cache
def scorer_metric(name: str) -> Metric | None:
    """Return the scorer of this name as a metric; None for other names, clusterings and several labels a row.

    Greater is better for all: an error has its sign reversed ("neg_median_absolute_error"), as in sklearn. Classes are
    numbered in the model's order, so that the greater of two is the positive one whatever its name. NaN if sklearn
    calls a metric undefined.
    """
    if name not in sklearn.metrics.get_scorer_names() or name.endswith("_samples"):
        return None
    scorer: Any = sklearn.metrics.get_scorer(name)
    home = scorer._score_func.__module__
    if ".cluster." in home:
        return None
    by_probability = scorer._response_method != "predict"

    def function(y: np.ndarray, predictions: Predictions) -> float:
        scored = _probability(predictions) if by_probability else _numbered(predictions.value, predictions)
        return float(scorer._sign * _score(scorer._score_func, _numbered(y, predictions), scored, scorer._kwargs))

    return Metric(
        name=name,
        greater_is_better=True,
        kind="regression" if home.endswith("_regression") else "classification",
        function=function,
        needs_probability=by_probability,
    )


def metric_of_own(own: OwnMetric) -> Metric:
    """Return a user's metric; it gets labels as they are in the data.

    NaN if it raises ValueError, as sklearn does for rows on which it is not defined. `DeclarationError` with its name
    if it raises anything else or does not return a number.
    """

    def function(y: np.ndarray, predictions: Predictions) -> float:
        scored = _probability(predictions) if own.by_probability else predictions.value
        try:
            score = _score(own.function, y, scored, own.options)
        except Exception as error:  # the user's code may raise anything
            raise DeclarationError(f"metric {shown(own.name)} raised {reason(error)}") from error
        if not isinstance(score, Real):
            raise DeclarationError(f"metric {shown(own.name)} returned a {type(score).__name__}; expected a number")
        return float(score)

    return Metric(
        name=own.name,
        greater_is_better=own.greater_is_better,
        kind=None,
        function=function,
        needs_probability=own.by_probability,
    )


def _score(function: Callable[..., Any], y: np.ndarray, scored: np.ndarray, options: Mapping[str, Any]) -> Any:
    """Return the score; NaN for sklearn's error for one class, no rows, NaN or a negative value under a logarithm."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(y, scored, **options)
    except ValueError:
        return float("nan")


def _numbered(labels: np.ndarray, predictions: Predictions) -> np.ndarray:
    return labels if predictions.classes is None else class_numbers(labels, predictions)


def _probability(predictions: Predictions) -> np.ndarray:
    """Return the probability of the greater of two classes (n,), else of all (n, k), as sklearn's scorers take them."""
    assert predictions.probability is not None  # `suited` has checked it
    return predictions.probability[:, 1] if predictions.probability.shape[1] == 2 else predictions.probability
