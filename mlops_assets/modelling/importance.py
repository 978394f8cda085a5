"""How much a model leans on each feature."""

from typing import Any

import numpy as np
import pandas as pd

from mlops_assets.modelling.metrics import suited
from mlops_assets.modelling.predictions import predict


def permutation_importance_table(
    model: Any,
    X: pd.DataFrame,
    y: pd.Series,
    metric_name: str,
    seed: int,
    repeats: int = 5,
    max_rows: int = 2_000,
) -> pd.DataFrame:
    """Permutation importance (Breiman 2001) of each column of `X`, greatest first.

    Columns: feature, importance (how much worse the metric gets when the column is shuffled, in its units), std over
    the repeats. Computed on at most `max_rows` rows, drawn by `seed`.
    """
    random = np.random.default_rng(seed)
    rows = np.arange(len(X))
    if len(X) > max_rows:
        rows = np.sort(random.choice(len(X), max_rows, replace=False))
    part, labels = X.iloc[rows], np.asarray(y)[rows]
    said = predict(model, part)
    chosen = suited(said, [metric_name])[0]
    sign = 1.0 if chosen.greater_is_better else -1.0
    whole = chosen.function(labels, said)
    # One call for all repeats: a Pipeline's overhead for a call exceeds the work on few rows.
    stacked = pd.concat([part] * repeats, ignore_index=True)
    orders = np.array([random.permutation(len(rows)) for _ in range(repeats)])
    found = []
    for name in X.columns:
        shuffled = part[name].take(orders.ravel()).set_axis(stacked.index)
        said = predict(model, stacked.assign(**{name: shuffled}))
        parts = np.arange(len(said.value)).reshape(repeats, -1)
        drops = np.array([sign * (whole - chosen.function(labels, said.take(index))) for index in parts])
        found.append({"feature": name, "importance": float(drops.mean()), "std": float(drops.std())})
    table = pd.DataFrame(found, columns=["feature", "importance", "std"])
    return table.sort_values("importance", ascending=False, kind="stable", ignore_index=True)
