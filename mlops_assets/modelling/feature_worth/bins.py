"""How much one feature alone predicts, by a substitute that needs no fit: the mean of the target in its bins."""

from __future__ import annotations

from mlops_assets.lazy import np, pd
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.modelling.problem import Problem

_BINS = 20
_PRIOR_ROWS = 10.0


def bin_means(known: pd.Series, y: pd.Series, unseen: pd.Series, problem: Problem) -> Predictions:
    """Predict for `unseen` (m,) values of a feature, from rows (n,) with `known` values and targets `y`.

    A number is cut at its 20-quantiles, a category is a bin, and so are missing values. The mean target of a bin (a
    regressogram; Tukey 1961), or the share of each class, is drawn to the overall one by 10 rows.
    """
    known_at, unseen_at, bins = _bins(known, unseen)
    classes = None if problem == "regression" else np.unique(np.asarray(y))
    if classes is None:
        targets = np.asarray(y, dtype=np.float64)[:, None]
    else:
        targets = (np.asarray(y)[:, None] == classes).astype(np.float64)
    overall = targets.mean(axis=0)
    sums = np.column_stack([np.bincount(known_at, column, bins) for column in targets.T])
    rows = np.bincount(known_at, minlength=bins)[:, None]
    means = ((sums + _PRIOR_ROWS * overall) / (rows + _PRIOR_ROWS))[unseen_at]
    return Predictions(means[:, 0]) if classes is None else Predictions(classes[means.argmax(axis=1)], means, classes)


def _bins(known: pd.Series, unseen: pd.Series) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the bin of each known and each unseen value, and the number of bins; the last but one is "missing"."""
    kinds = pd.api.types
    if kinds.is_datetime64_any_dtype(known.dtype):
        known, unseen = (part.astype("int64").where(part.notna()) for part in (known, unseen))
    if kinds.is_numeric_dtype(known.dtype) or kinds.is_bool_dtype(known.dtype):
        numbers = [part.to_numpy(dtype=np.float64, na_value=np.nan) for part in (known, unseen)]
        finite = numbers[0][np.isfinite(numbers[0])]
        cuts = np.unique(np.quantile(finite, np.linspace(0, 1, _BINS + 1)[1:-1])) if len(finite) else np.array([])
        known_at, unseen_at = (np.where(np.isnan(n), len(cuts) + 1, np.searchsorted(cuts, n, "right")) for n in numbers)
        return known_at, unseen_at, len(cuts) + 2
    texts = [part.astype(object).where(part.notna(), None).map(str) for part in (known, unseen)]
    names = pd.Index(np.unique(texts[0].to_numpy(dtype=str)))
    known_at, unseen_at = (np.asarray(names.get_indexer(pd.Index(text))) for text in texts)
    return known_at, np.where(unseen_at < 0, len(names), unseen_at), len(names) + 1
