"""Features that alone tell the target almost perfectly: most often the answer itself, known only afterwards."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mlops_assets.decisions.resampling import Floats

_MOST_ROWS = 20_000
_MIN_ROWS = 30
_ROWS_A_CATEGORY = 20


@dataclass(frozen=True)
class Suspicion:
    """A feature that alone reaches the limit of its measure."""

    feature: str
    measure: str
    score: float
    limit: float


def telling_features(X: pd.DataFrame, y: pd.Series, problem: str, max_auc: float, max_r2: float) -> list[Suspicion]:
    """The features that reach a limit, the most telling first.

    Regression: squared correlation of values, or of ranks, above `max_r2`. Binary: the area under the ROC curve of
    the feature, either way round, from `max_auc`. Multiclass: the share of neighbours, in the feature's order, that
    are of one class, from `max_auc`. Text counts by the target's mean in each category, where categories have 20 rows
    on average; that a value is missing counts as a feature of its own. At most 20,000 rows are looked at.
    """
    labelled = y.notna().to_numpy()
    X, y = X[labelled].reset_index(drop=True), y[labelled].reset_index(drop=True)
    if len(y) > _MOST_ROWS:
        rows = np.random.default_rng(0).choice(len(y), _MOST_ROWS, replace=False)
        X, y = X.iloc[rows], y.iloc[rows]
    target = (
        y.to_numpy(dtype=np.float64) if problem == "regression" else pd.factorize(y, sort=True)[0].astype(np.float64)
    )
    found = []
    for position, name in enumerate(X.columns):
        worst = max(
            (_score(v, target[k], problem) for v, k in _views(X.iloc[:, position], target, problem)), default=None
        )
        if worst is None:
            continue
        score, measure = worst
        limit = max_r2 if problem == "regression" else max_auc
        if score > limit or (problem != "regression" and score == limit):
            found.append(Suspicion(str(name), measure, float(score), limit))
    return sorted(found, key=lambda each: -each.score)


def _views(values: pd.Series, target: Floats, problem: str) -> Iterator[tuple[Floats, "np.ndarray"]]:
    """The feature as numbers with the rows that they stand for, and whether it is missing."""
    known = values.notna().to_numpy()
    if known.sum() >= _MIN_ROWS:
        numbers = _numbers(values[known], target[known], problem)
        if numbers is not None:
            yield numbers, known
    if not known.all() and known.any() and len(known) >= _MIN_ROWS:
        yield (~known).astype(np.float64), np.ones(len(known), dtype=bool)


def _numbers(values: pd.Series, target: Floats, problem: str) -> Floats | None:
    if pd.api.types.is_datetime64_any_dtype(values):
        moments: Floats = values.astype("int64").to_numpy().astype(np.float64)
        return moments
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        numbers = values.to_numpy(dtype=np.float64)
        bounded: Floats = np.clip(numbers, -1e300, 1e300)
        return bounded
    codes, categories = pd.factorize(values.astype(str))
    if len(categories) * _ROWS_A_CATEGORY > len(values):
        return None
    if problem == "multiclass":
        return codes.astype(np.float64)
    means = np.bincount(codes, target) / np.bincount(codes)
    encoded: Floats = means[codes]
    return encoded


def _score(values: Floats, target: Floats, problem: str) -> tuple[float, str]:
    if len(np.unique(values)) < 2 or len(np.unique(target)) < 2:
        return 0.0, "constant"
    if problem == "regression":
        pairs = ((values, target), (_ranks(values), _ranks(target)))
        return max(_correlation(a, b) ** 2 for a, b in pairs), "r2"
    if problem == "binary":
        positive = target == target.max()
        n, k = len(target), int(positive.sum())
        area = (_ranks(values)[positive].sum() - k * (k + 1) / 2) / (k * (n - k))
        return float(max(area, 1 - area)), "AUC"
    shuffled = np.random.default_rng(0).permutation(len(values))
    ordered = target[shuffled][np.argsort(values[shuffled], kind="stable")]
    changes = int(np.count_nonzero(np.diff(ordered))) - (len(np.unique(target)) - 1)
    return 1 - max(changes, 0) / (len(ordered) - 1), "neighbours of one class"


def _ranks(values: Floats) -> Floats:
    from scipy import stats

    ranks: Floats = stats.rankdata(values)
    return ranks


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a / (np.abs(a).max() or 1.0), b / (np.abs(b).max() or 1.0)  # squares of great values overflow
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / scale) if scale else 0.0
