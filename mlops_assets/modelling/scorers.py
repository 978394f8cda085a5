"""Scorers of sklearn as metrics: slower than our own, since each resample is scored anew."""

import warnings
from functools import cache
from typing import Any, Literal

import numpy as np
import pandas as pd

from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions


@cache
def scorer_metric(name: str) -> Metric | None:
    """The scorer of this name as a metric; None for no scorer, and for those of clusterings and of many labels a row.

    Greater is better for all: an error comes with its sign turned ("neg_median_absolute_error"), as sklearn has it.
    Classes are numbered in the model's order, so that the greater of two is the positive one whatever its name. NaN
    where sklearn calls a metric undefined.
    """
    from sklearn.metrics import get_scorer, get_scorer_names

    if name not in get_scorer_names() or name.endswith("_samples"):
        return None
    scorer: Any = get_scorer(name)
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


def _numbered(labels: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Position of each label among the classes, -1 for one that the model does not know; numbers as they are."""
    if predictions.classes is None:
        return labels
    return np.asarray(pd.Index(predictions.classes).get_indexer(pd.Index(labels)))


def _probability(predictions: Predictions) -> np.ndarray:
    """Of two classes that of the greater one (n,), else all (n, k), as sklearn's scorers take them."""
    assert predictions.probability is not None  # `suited` has seen to it
    return predictions.probability[:, 1] if predictions.probability.shape[1] == 2 else predictions.probability
