"""Features that determine the target almost perfectly, alone or together: most often a later copy of the label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlops_assets.lazy import np, pd, scipy
from mlops_assets.statistics.arrays import Floats

_MOST_AUC = 0.999
_MOST_R2 = 0.9999
_MOST_ROWS = 20_000
_MIN_ROWS = 30
_MOST_NAMED = 20
_ROWS_A_CATEGORY = 20
_LEAST_FILLED = 0.5
_HUGE = 1e300


@dataclass(frozen=True)
class Suspicion:
    """A feature, or several joined by " + ", that reaches the limit of its measure."""

    feature: str
    measure: str
    score: float
    limit: float


def telling_features(X: pd.DataFrame, y: pd.Series, problem: str) -> list[Suspicion]:
    """Return the features that reach a limit, the highest score first.

    Regression: squared correlation of values, or of ranks, above 0.9999. Binary: the area under the ROC curve of the
    feature, in either direction, from 0.999. Multiclass: the share of neighbours, in the feature's order, that are of
    one class, from 0.999. Text is replaced by the target's mean in each category, if categories have 20 rows on
    average. Whether a value is missing counts as a feature of its own. At most 20,000 rows are used. Regression also
    tests the remaining numbers together: a linear model of them (or of their logarithms: a product) has an R2 above
    0.9999 on rows that it was not fitted on. Only the columns that this model needs are named.
    """
    labelled = y.notna().to_numpy()
    X, y = X[labelled].reset_index(drop=True), y[labelled].reset_index(drop=True)
    if len(y) > _MOST_ROWS:
        rows = np.random.default_rng(0).choice(len(y), _MOST_ROWS, replace=False)
        X, y = X.iloc[rows], y.iloc[rows]
    regression = problem == "regression"
    target = np.asarray(y if regression else pd.factorize(y, sort=True)[0], dtype=np.float64)
    suspicions = []
    for position, name in enumerate(X.columns):
        views = _views(X.iloc[:, position], target, problem)
        score, measure = max((_score(values, target[rows], problem) for values, rows in views), default=(0.0, ""))
        if score > _MOST_R2 if regression else score >= _MOST_AUC:
            suspicions.append(Suspicion(str(name), measure, float(score), _MOST_R2 if regression else _MOST_AUC))
    if regression:
        singles = {suspicion.feature for suspicion in suspicions}
        suspicions += _telling_together(X[[name for name in X.columns if str(name) not in singles]], target)
    return sorted(suspicions, key=lambda suspicion: -suspicion.score)


def _telling_together(X: pd.DataFrame, target: Floats) -> list[Suspicion]:
    """Return the numbers of `X` (n, columns) whose sum or product is the target (n,)."""
    kinds = pd.api.types
    numeric = [name for name in X.columns if kinds.is_numeric_dtype(X[name]) or kinds.is_bool_dtype(X[name])]
    values, names = X[numeric].to_numpy(dtype=np.float64, na_value=np.nan), np.array(numeric, dtype=object).astype(str)
    values = np.where(np.abs(values) <= _HUGE, values, np.nan)
    filled = np.isfinite(values).mean(axis=0) >= _LEAST_FILLED
    rows = np.isfinite(values[:, filled]).all(axis=1) & (np.abs(target) <= _HUGE)
    names, values, target = names[filled], values[rows][:, filled], target[rows]
    measure, sufficient = "r2 of their sum, together", _sufficient_columns(names, values, target)
    if sufficient is None and len(target) and target.min() > 0:
        positive = (values > 0).all(axis=0)
        measure = "r2 of logarithms, together"
        sufficient = _sufficient_columns(names[positive], np.log(values[:, positive]), np.log(target))
    return [] if sufficient is None else [Suspicion(" + ".join(sufficient[0]), measure, sufficient[1], _MOST_R2)]


def _sufficient_columns(names: np.ndarray, values: Floats, target: Floats) -> tuple[list[str], float] | None:
    """Return the columns of `values` (n, columns) that a linear model needs to exceed the limit, and its R2, or None.

    The model is fitted on one half of the rows and judged on the other. Orthogonal matching pursuit (Pati, Rezaiifar &
    Krishnaprasad 1993) selects the columns; those that are not needed are then dropped.
    """
    rows = len(target)
    varies = np.ptp(values, axis=0) > 0 if rows else np.zeros(len(names), dtype=bool)
    if rows < 2 * max(_MIN_ROWS, 2 * len(names)) or np.count_nonzero(varies) < 2 or np.ptp(target) == 0:
        return None
    names, columns, goal = names[varies], _standardise(values[:, varies]), _standardise(target[:, None])[:, 0]
    half = np.random.default_rng(0).permutation(rows) < rows // 2
    r2 = _r2(columns, goal, half)
    if r2 <= _MOST_R2:
        return None
    selection: list[int] = []
    left = goal
    most = min(len(names), _MOST_NAMED)
    while not selection or (len(selection) < most and _r2(columns[:, selection], goal, half) <= _MOST_R2):
        near = np.abs(left @ columns)
        near[selection] = -1.0
        selection.append(int(near.argmax()))
        left = goal - columns[:, selection] @ _coefficients(columns[:, selection], goal)
    for position in list(selection):
        others = [other for other in selection if other != position]
        if others and _r2(columns[:, others], goal, half) > _MOST_R2:
            selection = others
    return names[sorted(selection)].tolist(), r2


def _r2(columns: Floats, goal: Floats, half: np.ndarray) -> float:
    unseen = goal[~half]
    residuals = unseen - columns[~half] @ _coefficients(columns[half], goal[half])
    spread = float(np.sum((unseen - unseen.mean()) ** 2))
    return 1.0 - float(np.sum(residuals**2)) / spread if spread else 0.0


def _coefficients(columns: Floats, goal: Floats) -> Floats:
    """Solve least squares by the normal equations, in a tenth of the time of an SVD; columns may be collinear."""
    return np.asarray(np.linalg.lstsq(columns.T @ columns, columns.T @ goal, rcond=None)[0], dtype=np.float64)


def _standardise(values: Floats) -> Floats:
    scaled = values / np.abs(values).max(axis=0)  # squares of great values overflow
    scaled = scaled - scaled.mean(axis=0)
    return np.asarray(scaled / np.maximum(scaled.std(axis=0), 1e-300))


def _views(values: pd.Series, target: Floats, problem: str) -> Iterator[tuple[Floats, np.ndarray]]:
    """Yield the feature as numbers with the rows that they belong to, and whether it is missing."""
    known = values.notna().to_numpy()
    if known.sum() >= _MIN_ROWS:
        numbers = _numbers(values[known], target[known], problem)
        if numbers is not None:
            yield numbers, known
    if not known.all() and known.any() and len(known) >= _MIN_ROWS:
        yield (~known).astype(np.float64), np.ones(len(known), dtype=bool)


def _numbers(values: pd.Series, target: Floats, problem: str) -> Floats | None:
    if pd.api.types.is_datetime64_any_dtype(values):
        return np.asarray(values.astype("int64"), dtype=np.float64)
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return np.clip(np.asarray(values, dtype=np.float64), -_HUGE, _HUGE)
    codes, categories = pd.factorize(values.astype(str))
    if len(categories) * _ROWS_A_CATEGORY > len(values):
        return None
    if problem == "multiclass":
        return np.asarray(codes, dtype=np.float64)
    return np.asarray((np.bincount(codes, target) / np.bincount(codes))[codes])


def _score(values: Floats, target: Floats, problem: str) -> tuple[float, str]:
    if len(np.unique(values)) < 2 or len(np.unique(target)) < 2:
        return 0.0, "constant"
    if problem == "regression":
        pairs = ((values, target), (scipy.stats.rankdata(values), scipy.stats.rankdata(target)))
        return max(_correlation(*pair) ** 2 for pair in pairs), "r2"
    if problem == "binary":
        positive = target == target.max()
        n, k = len(target), int(positive.sum())
        area = (scipy.stats.rankdata(values)[positive].sum() - k * (k + 1) / 2) / (k * (n - k))
        return float(max(area, 1 - area)), "AUC"
    shuffled = np.random.default_rng(0).permutation(len(values))
    ordered = target[shuffled][np.argsort(values[shuffled], kind="stable")]
    changes = int(np.count_nonzero(np.diff(ordered))) - (len(np.unique(target)) - 1)
    return 1 - max(changes, 0) / (len(ordered) - 1), "neighbours of one class"


def _correlation(a: Floats, b: Floats) -> float:
    a, b = _standardise(a), _standardise(b)
    return float(np.mean(a * b))
