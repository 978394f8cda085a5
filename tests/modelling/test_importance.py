import numpy as np
import pandas as pd

from mlops_assets.modelling.estimators import build
from mlops_assets.modelling.importance import permutation_importance_table

RANDOM = np.random.default_rng(0)
X = pd.DataFrame(
    {"noise": RANDOM.normal(size=500), "weak": RANDOM.normal(size=500), "strong": RANDOM.choice(["a", "b"], 500)}
)
Y = 5.0 * (X["strong"] == "a") + X["weak"]


def test_features_are_sorted_by_what_they_are_worth():
    model = build("sklearn.linear_model.Ridge", {}, X, "regression", 0).fit(X, Y)
    table = permutation_importance_table(model, X, Y, "rmse", seed=1)
    assert table["feature"].tolist() == ["strong", "weak", "noise"]
    # Shuffling a column doubles its variance in the error: rmse of about 5 * sqrt(1/2) and of sqrt(2).
    assert np.allclose(table["importance"], [3.5, 1.4, 0.0], atol=0.15)
    assert table.equals(permutation_importance_table(model, X, Y, "rmse", seed=1))
    assert not table.equals(permutation_importance_table(model, X, Y, "rmse", seed=2))


def test_greater_is_better_is_heeded_and_rows_are_bounded():
    model = build("sklearn.linear_model.LogisticRegression", {}, X, "binary", 0).fit(X, Y > 2.5)
    table = permutation_importance_table(model, X, Y > 2.5, "roc_auc", seed=1, max_rows=100, repeats=2)
    assert table["feature"][0] == "strong" and 0.3 < table["importance"][0] < 0.7
