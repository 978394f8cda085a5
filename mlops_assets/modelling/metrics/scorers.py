"""Scorers of sklearn, and the user's own, as metrics: slower than ours, since each resample is scored anew."""

from __future__ import annotations

import warnings
from functools import cache
from numbers import Real
from typing import Any, Literal

from mlops_assets.errors import DeclarationError
from mlops_assets.lazy import np, pd, sklearn
from mlops_assets.modelling.metrics.definition import Metric
from mlops_assets.modelling.metrics.own import OwnMetric
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.text import reason, shown


@cache
def scorer_metric(name: str) -> Metric | None:
    """The scorer of this name as a metric; None for no scorer, and for those of clusterings and of many labels a row.

    Greater is better for all: an error comes with its sign turned ("neg_median_absolute_error"), as sklearn has it.
    Classes are numbered in the model's order, so that the greater of two is the positive one whatever its name. NaN
    where sklearn calls a metric undefined.
    """
    if name not in sklearn.metrics.get_scorer_names() or name.endswith("_samples"):
        return None
    scorer: Any = sklearn.metrics.get_scorer(name)
    home = scorer._score_func.__module__
    if ".cluster." in home:
        return None
    kind: Literal["regression", "classification"] = "regression" if home.endswith("_regression") else "classification"
    by_probability = scorer._response_method != "predict"

    def function(y: np.ndarray, predictions: Predictions) -> float:
        said = _probability(predictions) if by_probability else _numbered(predictions.value, predictions)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                score = scorer._score_func(_numbered(y, predictions), said, **scorer._kwargs)
        except ValueError:  # sklearn's word for one class, no rows, NaN or a negative value under a logarithm
            return float("nan")
        return float(scorer._sign * score)

    return Metric(name, True, kind, function, needs_probability=by_probability)


def metric_of_own(own: OwnMetric) -> Metric:
    """A metric of the user's; it gets labels as they are in the data.

    NaN where it raises ValueError, as sklearn does for rows that it is not defined on; `DeclarationError` with its name
    where it raises anything else or gives no number.
    """

    def function(y: np.ndarray, predictions: Predictions) -> float:
        said = _probability(predictions) if own.by_probability else predictions.value
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                score = own.function(y, said, **own.options)
        except ValueError:
            return float("nan")
        except Exception as error:  # it is the user's
            raise DeclarationError(f"metric {shown(own.name)} raised {reason(error)}") from error
        if not isinstance(score, Real):
            raise DeclarationError(f"metric {shown(own.name)} gave a {type(score).__name__}; expected a number")
        return float(score)

    return Metric(own.name, own.greater_is_better, None, function, needs_probability=own.by_probability)


def _numbered(labels: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Position of each label among the classes, -1 for one that the model does not know; numbers as they are."""
    if predictions.classes is None:
        return labels
    return np.asarray(pd.Index(predictions.classes).get_indexer(pd.Index(labels)))


def _probability(predictions: Predictions) -> np.ndarray:
    """Of two classes that of the greater one (n,), else all (n, k), as sklearn's scorers take them."""
    assert predictions.probability is not None  # `suited` has seen to it
    return predictions.probability[:, 1] if predictions.probability.shape[1] == 2 else predictions.probability
