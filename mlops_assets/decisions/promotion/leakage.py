"""Features that determine the target almost perfectly, alone or together: most often a later copy of the label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mlops_assets.lazy import np, pd, scipy
from mlops_assets.statistics.resampling import Floats

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


def telling_features(X: pd.DataFrame, y: pd.Series, problem: str, max_auc: float, max_r2: float) -> list[Suspicion]:
    """Return the features that reach a limit, the highest score first.

    Regression: squared correlation of values, or of ranks, above `max_r2`. Binary: the area under the ROC curve of the
    feature, in either direction, from `max_auc`. Multiclass: the share of neighbours, in the feature's order, that are
    of one class, from `max_auc`. Text is replaced by the target's mean in each category, if categories have 20 rows on
    average. Whether a value is missing counts as a feature of its own. At most 20,000 rows are used. Regression also
    tests the remaining numbers together: a linear model of them (or of their logarithms: a product) has an R2 above
    `max_r2` on rows that it was not fitted on. Only the columns that this model needs are named.
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
    if problem == "regression":
        alone = {each.feature for each in found}
        rest = X[[name for name in X.columns if str(name) not in alone]]
        found += _telling_together(rest, target, max_r2)
    return sorted(found, key=lambda each: -each.score)


def _telling_together(X: pd.DataFrame, target: Floats, max_r2: float) -> list[Suspicion]:
    """Find numbers of `X` (n, columns) whose sum or product is the target (n,)."""
    kinds = pd.api.types
    names = [name for name in X.columns if kinds.is_numeric_dtype(X[name]) or kinds.is_bool_dtype(X[name])]
    values = X[names].to_numpy(dtype=np.float64, na_value=np.nan)
    values = np.where(np.abs(values) <= _HUGE, values, np.nan)
    filled = np.isfinite(values).mean(axis=0) >= _LEAST_FILLED
    rows = np.isfinite(values[:, filled]).all(axis=1) & (np.abs(target) <= _HUGE)
    names, values, target = [str(name) for name in np.array(names)[filled]], values[rows][:, filled], target[rows]
    found = _needed(names, values, target, max_r2)
    if found is None and len(target) and target.min() > 0:
        positive = (values > 0).all(axis=0)
        logs = np.log(values[:, positive])
        found = _needed(list(np.array(names)[positive]), logs, np.log(target), max_r2)
        measure = "r2 of logarithms, together"
    else:
        measure = "r2 of their sum, together"
    return [] if found is None else [Suspicion(" + ".join(found[0]), measure, found[1], max_r2)]


def _needed(names: list[str], values: Floats, target: Floats, max_r2: float) -> tuple[list[str], float] | None:
    """Return the columns of `values` (n, columns) that a linear model needs to exceed `max_r2`, and its R2, or None.

    The model is fitted on one half of the rows and judged on the other. Orthogonal matching pursuit (Pati, Rezaiifar &
    Krishnaprasad 1993) selects the columns; those that are not needed are then dropped.
    """
    rows, varies = len(target), np.ptp(values, axis=0) > 0 if len(target) else np.zeros(len(names), dtype=bool)
    if rows < 2 * max(_MIN_ROWS, 2 * len(names)) or np.count_nonzero(varies) < 2 or np.ptp(target) == 0:
        return None
    columns, goal = _standardised(values[:, varies]), _standardised(target[:, None])[:, 0]
    names = [name for name, used in zip(names, varies, strict=True) if used]
    half = np.random.default_rng(0).permutation(rows) < rows // 2
    whole = _r2(columns, goal, half)
    if whole <= max_r2:
        return None
    chosen: list[int] = []
    left = goal
    while not chosen or (len(chosen) < min(len(names), _MOST_NAMED) and _r2(columns[:, chosen], goal, half) <= max_r2):
        near = np.abs(left @ columns)
        near[chosen] = -1.0
        chosen.append(int(near.argmax()))
        left = goal - columns[:, chosen] @ _weights(columns[:, chosen], goal)
    for position in list(chosen):
        others = [each for each in chosen if each != position]
        if others and _r2(columns[:, others], goal, half) > max_r2:
            chosen = others
    return [names[position] for position in sorted(chosen)], whole


def _r2(columns: Floats, goal: Floats, half: np.ndarray) -> float:
    unseen = goal[~half]
    said = columns[~half] @ _weights(columns[half], goal[half])
    spread = float(np.sum((unseen - unseen.mean()) ** 2))
    return 1.0 - float(np.sum((unseen - said) ** 2)) / spread if spread else 0.0


def _weights(columns: Floats, goal: Floats) -> Floats:
    """Solve least squares by the normal equations, in a tenth of the time of an SVD; columns may be collinear."""
    return np.asarray(np.linalg.lstsq(columns.T @ columns, columns.T @ goal, rcond=None)[0], dtype=np.float64)


def _standardised(values: Floats) -> Floats:
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
    ranks: Floats = scipy.stats.rankdata(values)
    return ranks


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a / (np.abs(a).max() or 1.0), b / (np.abs(b).max() or 1.0)  # squares of great values overflow
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum() / scale) if scale else 0.0
