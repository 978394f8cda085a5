"""How much a model depends on each feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlops_assets.lazy import np, pd
from mlops_assets.modelling.feature_worth.effects import Effect, effect
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions, predict
from mlops_assets.statistics.arrays import Floats
from mlops_assets.statistics.groups import Groups


def permutation_importances(
    model: Any,
    X: pd.DataFrame,
    y: pd.Series,
    metric: Metric,
    sets: Sequence[Sequence[str]],
    seed: int,
    repeats: int = 5,
    max_rows: int = 2_000,
    groups: Groups | None = None,
) -> list[Effect]:
    """Return how much worse the metric gets if each set of columns is shuffled (Breiman 2001).

    At most `max_rows` rows are used, drawn by `seed`, in their order. The interval counts every row twice: as the row
    that is scored with another row's value, and as the row that gives its value (the projection of a U-statistic;
    Hoeffding 1948). The second share is as large if the feature is strong, and the spread over the repeats shows
    neither.
    """
    random = np.random.default_rng(seed)
    rows = np.arange(len(X))
    if len(X) > max_rows:
        rows = np.sort(random.choice(len(X), max_rows, replace=False))
    part, labels = X.iloc[rows], np.asarray(y)[rows]
    predictions = predict(model, part)
    whole = metric.function(labels, predictions), metric.influence and metric.influence(labels, predictions)
    # One call for all repeats: a Pipeline's overhead for a call exceeds the work on few rows.
    stacked = pd.concat([part] * repeats, ignore_index=True)
    orders = np.array([random.permutation(len(rows)) for _ in range(repeats)])
    importances = []
    for columns in sets:
        shuffled = {name: part[name].take(orders.ravel()).set_axis(stacked.index) for name in columns}
        drops, contributions = _drops(metric, labels, whole, predict(model, stacked.assign(**shuffled)), orders)
        importances.append(effect(float(drops.mean()), contributions, groups and groups.take(rows)))
    return importances


def _drops(
    metric: Metric, y: np.ndarray, whole: tuple[float, Floats | None], shuffled: Predictions, orders: np.ndarray
) -> tuple[Floats, Floats | None]:
    """Return the loss of the metric in each repeat (repeats,), and what each row contributes to their mean (n,)."""
    sign = 1.0 if metric.greater_is_better else -1.0
    value, influence = whole
    drops, contributions = [], np.zeros(len(y))
    for index, order in zip(np.arange(orders.size).reshape(orders.shape), orders, strict=True):
        predictions = shuffled.take(index)
        drops.append(sign * (value - metric.function(y, predictions)))
        if metric.influence is not None and influence is not None:
            change = sign * (influence - metric.influence(y, predictions))
            contributions += change
            contributions[order] += change - change.mean()  # to the row that gives its value
    return np.array(drops), None if influence is None else contributions / len(orders)
