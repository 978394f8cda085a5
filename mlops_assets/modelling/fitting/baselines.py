"""What a model has to beat to be worth running: a constant, the previous label, and a linear model."""

from __future__ import annotations

import warnings
from collections.abc import Collection

from mlops_assets.errors import MlopsAssetsError
from mlops_assets.lazy import np, pd
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.predictions import Predictions, predict
from mlops_assets.modelling.problem import Problem

# More rows make the baseline slower, hardly better.
MOST_ROWS_LINEAR = 50_000


def baselines(
    X_train: pd.DataFrame,
    y_train: pd.Series,
    X_holdout: pd.DataFrame,
    y_holdout: pd.Series,
    problem: Problem,
    seed: int,
    names: Collection[str] = ("dummy", "previous", "linear"),
) -> dict[str, Predictions]:
    """Return predictions for the holdout by the baselines in `names`; rows are in order of time on both sides.

    dummy: the mean of the training labels, or the shares of the classes. previous: the label of the row before, as if
        labels came at once; its probability is how often a label repeats in training (Laplace's rule of succession).
    linear: Ridge or LogisticRegression on the newest 50,000 training rows, without columns of times. It is left out if
        no linear model can be fitted (no usable column, or one class among those rows).
    """
    by_name = {
        "dummy": _dummy(y_train, len(y_holdout), problem),
        "previous": _previous(y_train, y_holdout, problem),
        "linear": _linear(X_train, y_train, X_holdout, problem, seed) if "linear" in names else None,
    }
    return {name: predictions for name, predictions in by_name.items() if name in names and predictions is not None}


def _dummy(y_train: pd.Series, rows: int, problem: Problem) -> Predictions:
    if problem == "regression":
        return Predictions(np.full(rows, float(y_train.mean())))
    classes, counts = np.unique(np.asarray(y_train), return_counts=True)
    value = np.repeat(classes[[counts.argmax()]], rows)
    return Predictions(value, np.tile(counts / counts.sum(), (rows, 1)), classes)


def _previous(y_train: pd.Series, y_holdout: pd.Series, problem: Problem) -> Predictions:
    before, now = np.asarray(y_train), np.asarray(y_holdout)
    value = np.concatenate([before[-1:], now[:-1]])[: len(now)]
    if problem == "regression":
        return Predictions(value.astype(np.float64))
    classes, counts = np.unique(before, return_counts=True)
    repeats = (int((before[1:] == before[:-1]).sum()) + 1) / (len(before) + 1)
    probability = np.full((len(now), len(classes)), (1.0 - repeats) / (len(classes) - 1))
    number = pd.Index(classes).get_indexer(pd.Index(value))
    probability[np.arange(len(now)), number] = repeats
    probability[number < 0] = counts / counts.sum()
    return Predictions(value, probability, classes)


def _linear(
    X_train: pd.DataFrame, y_train: pd.Series, X_holdout: pd.DataFrame, problem: Problem, seed: int
) -> Predictions | None:
    usable = X_train.select_dtypes(exclude=["datetime", "datetimetz", "timedelta"])
    X, y = usable.iloc[-MOST_ROWS_LINEAR:], y_train.iloc[-MOST_ROWS_LINEAR:]
    if X.shape[1] == 0 or (problem != "regression" and y.nunique() < 2):
        return None
    name, params = "sklearn.linear_model.Ridge", {}
    if problem != "regression":
        name, params = "sklearn.linear_model.LogisticRegression", {"max_iter": 300}
    try:
        model = build(name, params, X, problem, seed)
        with warnings.catch_warnings():
            # A baseline that has not quite converged still serves.
            warnings.simplefilter("ignore")
            return predict(model.fit(X, y), X_holdout)
    except (MlopsAssetsError, ValueError, TypeError):
        return None
