import numpy as np
import pandas as pd

from mlops_assets.modelling.feature_worth.importance import permutation_importance_table
from mlops_assets.modelling.fitting.estimators import build

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


def test_intervals_hold_what_all_rows_would_have_shown():
    from mlops_assets.modelling.feature_worth.importance import permutation_importances

    random = np.random.default_rng(1)

    def rows(count):
        X = pd.DataFrame({name: random.normal(size=count) for name in ("strong", "weak", "noise")})
        return X, 2 * X["strong"] + 0.2 * X["weak"] + random.normal(size=count)

    sets = [["strong"], ["weak"], ["noise"], ["weak", "noise"]]
    train, labels = rows(300)
    model = build("sklearn.linear_model.Ridge", {}, train, "regression", 0).fit(train, labels)
    truth = permutation_importances(model, *rows(100_000), "rmse", sets, 0, repeats=1, max_rows=100_000)
    hits = np.zeros(len(sets))
    for seed in range(100):
        found = permutation_importances(model, *rows(400), "rmse", sets, seed)
        bounds = [(each.effect.low, each.effect.high) for each in found]
        hits += [low <= true.effect.value <= high for (low, high), true in zip(bounds, truth, strict=True)]
    assert (hits >= 88).all(), hits


def test_what_the_model_does_not_use_has_no_importance_at_all():
    model = build("sklearn.linear_model.Ridge", {}, X[["weak"]], "regression", 0).fit(X[["weak"]], Y)
    table = permutation_importance_table(model, X, Y, "rmse", seed=1).set_index("feature")
    assert table.loc["noise", ["importance", "low", "high", "p_harms"]].tolist() == [0.0, 0.0, 0.0, 1.0]
    assert table.loc["weak", "low"] > 0
