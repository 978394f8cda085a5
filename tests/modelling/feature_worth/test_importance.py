import numpy as np
import pandas as pd

from mlops_assets.modelling.feature_worth.effects import Effect
from mlops_assets.modelling.feature_worth.importance import permutation_importances
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.metrics import metric

RANDOM = np.random.default_rng(0)
X = pd.DataFrame(
    {"noise": RANDOM.normal(size=500), "weak": RANDOM.normal(size=500), "strong": RANDOM.choice(["a", "b"], 500)}
)
Y = 5.0 * (X["strong"] == "a") + X["weak"]


def importances(model, y, name, seed, **options):
    """The effect of each column of `X`, the greatest first."""
    effects = permutation_importances(model, X, y, metric(name), [[column] for column in X], seed, **options)
    return dict(sorted(zip(X, effects, strict=True), key=lambda pair: -pair[1].value))


def test_features_are_sorted_by_what_they_are_worth():
    model = build("sklearn.linear_model.Ridge", {}, X, "regression", 0).fit(X, Y)
    effects = importances(model, Y, "rmse", seed=1)
    assert list(effects) == ["strong", "weak", "noise"]
    # Shuffling a column doubles its variance in the error: rmse of about 5 * sqrt(1/2) and of sqrt(2).
    assert np.allclose([effect.value for effect in effects.values()], [3.5, 1.4, 0.0], atol=0.15)
    assert effects == importances(model, Y, "rmse", seed=1) != importances(model, Y, "rmse", seed=2)


def test_greater_is_better_is_heeded_and_rows_are_bounded():
    model = build("sklearn.linear_model.LogisticRegression", {}, X, "binary", 0).fit(X, Y > 2.5)
    effects = importances(model, Y > 2.5, "roc_auc", seed=1, max_rows=100, repeats=2)
    assert next(iter(effects)) == "strong" and 0.3 < effects["strong"].value < 0.7


def test_intervals_hold_what_all_rows_would_have_shown():
    random = np.random.default_rng(1)

    def rows(count):
        X = pd.DataFrame({name: random.normal(size=count) for name in ("strong", "weak", "noise")})
        return X, 2 * X["strong"] + 0.2 * X["weak"] + random.normal(size=count)

    sets = [["strong"], ["weak"], ["noise"], ["weak", "noise"]]
    train, labels = rows(300)
    model = build("sklearn.linear_model.Ridge", {}, train, "regression", 0).fit(train, labels)
    truth = permutation_importances(model, *rows(100_000), metric("rmse"), sets, 0, repeats=1, max_rows=100_000)
    hits = np.zeros(len(sets))
    for seed in range(100):
        drawn = permutation_importances(model, *rows(400), metric("rmse"), sets, seed)
        hits += [effect.low <= true.value <= effect.high for effect, true in zip(drawn, truth, strict=True)]
    assert (hits >= 88).all(), hits


def test_what_the_model_does_not_use_has_no_importance_at_all():
    model = build("sklearn.linear_model.Ridge", {}, X[["weak"]], "regression", 0).fit(X[["weak"]], Y)
    effects = importances(model, Y, "rmse", seed=1)
    assert effects["noise"] == Effect(0.0, 0.0, 0.0, 1.0)
    assert effects["weak"].low > 0
