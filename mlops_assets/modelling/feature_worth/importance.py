"""How much a model depends on each feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from mlops_assets.lazy import np, pd
from mlops_assets.modelling.feature_worth.effects import Effect, effect
from mlops_assets.modelling.metrics import Metric, suited
from mlops_assets.modelling.predictions import Predictions, predict
from mlops_assets.statistics.arrays import Floats
from mlops_assets.statistics.groups import Groups


def permutation_importance_table(
    model: Any,
    X: pd.DataFrame,
    y: pd.Series,
    metric_name: str,
    seed: int,
    repeats: int = 5,
    max_rows: int = 2_000,
    groups: Groups | None = None,
) -> pd.DataFrame:
    """Return the permutation importance (Breiman 2001) of each column of `X`, greatest first.

    Columns: feature, importance (how much worse the metric gets if the column is shuffled, in its units), std over the
    repeats, low and high (95%), p_harms. At most `max_rows` rows are used, drawn by `seed`, in their order.
    """
    found = permutation_importances(
        model, X, y, metric_name, [[name] for name in X.columns], seed, repeats, max_rows, groups
    )
    rows = [{"feature": name, **_cells(each)} for name, each in zip(X.columns, found, strict=True)]
    table = pd.DataFrame(rows, columns=["feature", "importance", "std", "low", "high", "p_harms"])
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)


@dataclass(frozen=True)
class Importance:
    """The loss of the metric if columns are shuffled, and its standard deviation over the repeats."""

    effect: Effect
    std: float


def permutation_importances(
    model: Any,
    X: pd.DataFrame,
    y: pd.Series,
    metric_name: str,
    sets: Sequence[Sequence[str]],
    seed: int,
    repeats: int = 5,
    max_rows: int = 2_000,
    groups: Groups | None = None,
) -> list[Importance]:
    """Return the importance of each set of columns, whose rows are shuffled together.

    The interval counts every row twice: as the row that is scored with another row's value, and as the row that gives
    its value (the projection of a U-statistic; Hoeffding 1948). The second share is as large if the feature is strong,
    and the spread over the repeats shows neither.
    """
    random = np.random.default_rng(seed)
    rows = np.arange(len(X))
    if len(X) > max_rows:
        rows = np.sort(random.choice(len(X), max_rows, replace=False))
    part, labels = X.iloc[rows], np.asarray(y)[rows]
    said = predict(model, part)
    chosen = suited(said, [metric_name])[0]
    # One call for all repeats: a Pipeline's overhead for a call exceeds the work on few rows.
    stacked = pd.concat([part] * repeats, ignore_index=True)
    orders = np.array([random.permutation(len(rows)) for _ in range(repeats)])
    whole = chosen.function(labels, said), _influence(chosen, labels, said)
    of_rows = None if groups is None else groups.take(rows)
    found = []
    for columns in sets:
        shuffled = {name: part[name].take(orders.ravel()).set_axis(stacked.index) for name in columns}
        many = predict(model, stacked.assign(**shuffled))
        drops, contributions = _drops(chosen, labels, whole, many, orders)
        found.append(Importance(effect(float(drops.mean()), contributions, of_rows), float(drops.std())))
    return found


def _drops(
    metric: Metric, y: np.ndarray, whole: tuple[float, Floats | None], many: Predictions, orders: np.ndarray
) -> tuple[Floats, Floats | None]:
    """Return the loss of the metric in each repeat (repeats,), and what each row contributes to their mean (n,)."""
    sign = 1.0 if metric.greater_is_better else -1.0
    drops, contributions = [], np.zeros(len(y))
    for index, order in zip(np.arange(orders.size).reshape(orders.shape), orders, strict=True):
        said = many.take(index)
        drops.append(sign * (whole[0] - metric.function(y, said)))
        changed = _influence(metric, y, said)
        if changed is None or whole[1] is None:
            continue
        change = sign * (whole[1] - changed)
        contributions += change
        contributions[order] += change - change.mean()  # to the row that gives its value
    return np.array(drops), None if whole[1] is None else contributions / len(orders)


def _influence(metric: Metric, y: np.ndarray, said: Predictions) -> Floats | None:
    return None if metric.influence is None else np.asarray(metric.influence(y, said), dtype=np.float64)


def _cells(found: Importance) -> dict[str, float]:
    of_effect = asdict(found.effect)
    return {"importance": of_effect.pop("value"), "std": found.std, **of_effect}
