import numpy as np
import pandas as pd
import pytest

from mlops_assets.modelling.fitting.baselines import baselines
from mlops_assets.modelling.metrics import scores

X = pd.DataFrame({"x": np.arange(100.0), "when": pd.date_range("2020-01-01", periods=100)})


def test_regression():
    y = 2 * X["x"] + 1
    found = baselines(X[:80], y[:80], X[80:], y[80:], "regression", 0)
    assert list(found) == ["dummy", "previous", "linear"]
    assert set(found["dummy"].value) == {y[:80].mean()}
    assert found["previous"].value.tolist() == y[79:99].tolist()
    assert found["linear"].value == pytest.approx(y[80:].to_numpy(), rel=0.02)


def test_classification():
    y = pd.Series(np.where(X["x"] % 10 < 5, "low", "top"))
    found = baselines(X[:80], y[:80], X[80:], y[80:], "binary", 0)
    assert found["dummy"].positive == pytest.approx(np.full(20, 0.5))
    assert found["previous"].value.tolist() == y[79:99].tolist()
    repeats = (64 + 1) / (79 + 2)
    expected = np.where(y[79:99] == "top", repeats, 1 - repeats)
    assert found["previous"].positive == pytest.approx(expected)
    assert all(np.isfinite(scores(y[80:], said, ["log_loss", "roc_auc"])["log_loss"]) for said in found.values())


def test_a_label_that_training_never_saw_gets_the_shares_of_training():
    y = pd.Series([0, 1, 2, 0, 1, 2, 0, 7, 1, 2])
    found = baselines(X[:6], y[:6], X[6:10], y[6:], "multiclass", 0)["previous"]
    assert found.value.tolist() == [2, 0, 7, 1]
    assert found.probability is not None
    assert found.probability[2] == pytest.approx([1 / 3] * 3)
    assert found.probability.sum(axis=1) == pytest.approx(np.ones(4))


def test_linear_is_left_out_where_it_cannot_be():
    y = X["x"]
    assert list(baselines(X[["when"]][:80], y[:80], X[80:], y[80:], "regression", 0)) == ["dummy", "previous"]


def test_same_seed_same_predictions():
    y = pd.Series((X["x"] % 3 > 0).astype(int))
    first, second = (baselines(X[:80], y[:80], X[80:], y[80:], "binary", 1) for _ in range(2))
    assert all(first[name].positive.tobytes() == second[name].positive.tobytes() for name in first)
