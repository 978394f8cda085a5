"""Groups of correlated features: a model can do without one of them as long as another of its group stays."""

from __future__ import annotations

from itertools import combinations

from mlops_assets.lazy import np, pd, scipy
from mlops_assets.statistics.arrays import Floats

_MOST_ROWS = 5_000
_LEAST_ASSOCIATION = 0.9
_MOST_CATEGORIES = 100


def correlated_groups(X: pd.DataFrame) -> list[list[str]]:
    """Return groups of two or more columns of `X` (n, columns), all pairs of which are associated by 0.9 or more.

    Complete linkage, so that a chain of neighbours is not a group. Groups and their members are in the order of the
    columns. At most 5,000 rows, evenly spread, are used.
    """
    if X.shape[1] < 2:
        return []
    apart = np.clip(1.0 - associations(X).to_numpy(), 0.0, 1.0)
    np.fill_diagonal(apart, 0.0)
    complete = scipy.cluster.hierarchy.linkage(scipy.spatial.distance.squareform(apart, checks=False), "complete")
    label = scipy.cluster.hierarchy.fcluster(complete, 1.0 - _LEAST_ASSOCIATION + 1e-12, "distance")
    members = [[str(name) for name in X.columns[label == group]] for group in pd.unique(label)]
    return [names for names in members if len(names) > 1]


def associations(X: pd.DataFrame) -> pd.DataFrame:
    """Return how well each column predicts each other one, from 0 to 1.

    Numbers, booleans and times: absolute rank correlation (Spearman 1904); a missing value takes the mean rank. Two
    categories: Cramer's V without its bias (Bergsma 2013). One of each: the root of the share of the ranks' variance
    between the categories (epsilon squared; Kelley 1935). A column of more than 100 categories keeps the 99 most
    frequent, and the others form one.
    """
    rows = np.linspace(0, len(X) - 1, min(len(X), _MOST_ROWS)).astype(int)
    part = X.iloc[rows]
    numbers = [name for name in X.columns if _is_ordered(part[name])]
    categories = [name for name in X.columns if name not in numbers]
    ranks = np.column_stack([_standard_ranks(part[name]) for name in numbers]) if numbers else np.empty((len(part), 0))
    codes = [_codes(part[name]) for name in categories]
    table = pd.DataFrame(np.eye(X.shape[1]), X.columns, X.columns)
    table.loc[numbers, numbers] = np.abs(ranks.T @ ranks)
    for name, code in zip(categories, codes, strict=True):
        table.loc[name, numbers] = table.loc[numbers, name] = _between(code, ranks)
    for (one, code), (other, other_code) in combinations(zip(categories, codes, strict=True), 2):
        table.loc[one, other] = table.loc[other, one] = _cramer(code, other_code)
    return table


def _is_ordered(column: pd.Series) -> bool:
    kinds = pd.api.types
    dtype = column.dtype
    return bool(kinds.is_numeric_dtype(dtype) or kinds.is_bool_dtype(dtype) or kinds.is_datetime64_any_dtype(dtype))


def _standard_ranks(column: pd.Series) -> Floats:
    """Return ranks (n,) of mean 0 and length 1; all 0 for a constant."""
    ranks = column.rank().to_numpy(dtype=np.float64, na_value=np.nan)
    known = ~np.isnan(ranks)
    centred = np.where(known, ranks - (ranks[known].mean() if known.any() else 0.0), 0.0)
    length = float(np.sqrt(np.sum(centred**2)))
    return centred / length if length else centred


def _codes(column: pd.Series) -> np.ndarray:
    """Return categories as numbers, the most frequent first; missing is one of them."""
    text = column.astype(object).where(column.notna(), None).map(str)
    counts = text.value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
    codes = np.asarray(pd.Index(counts.index).get_indexer(pd.Index(text)), dtype=np.int64)
    return np.minimum(codes, _MOST_CATEGORIES - 1)


def _between(codes: np.ndarray, ranks: Floats) -> Floats:
    rows, size = len(codes), np.bincount(codes)
    if len(size) < 2 or len(size) >= rows or not ranks.shape[1]:
        return np.zeros(ranks.shape[1])
    sums = np.array([np.bincount(codes, column) for column in ranks.T])
    share = np.sum(sums**2 / size, axis=1)
    varies = np.any(ranks != 0.0, axis=0)
    unbiased = 1.0 - (1.0 - share) * (rows - 1) / (rows - len(size))
    return np.where(varies, np.sqrt(np.clip(unbiased, 0.0, 1.0)), 0.0)


def _cramer(one: np.ndarray, other: np.ndarray) -> float:
    n, r, c = len(one), int(one.max()) + 1, int(other.max()) + 1
    if min(r, c) < 2:
        return 0.0
    counts = np.bincount(one * c + other, minlength=r * c).reshape(r, c)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / n
    phi2 = float(np.sum((counts - expected) ** 2 / expected)) / n
    unbiased = max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1))
    rows, columns = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    least = min(rows, columns) - 1
    return float(np.sqrt(min(unbiased / least, 1.0))) if least > 0 else 0.0
