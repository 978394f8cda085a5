import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as theirs

from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.metrics import METRICS, default_metrics, metric, scores
from mlops_assets.modelling.predictions import Predictions

RANDOM = np.random.default_rng(5)


def classified(classes: list, rows: int = 400) -> tuple[np.ndarray, Predictions]:
    labels = np.array(classes)
    y = RANDOM.choice(labels, rows)
    weight = np.round(RANDOM.random((rows, len(labels))), 1) + 0.1 + 0.6 * (y[:, None] == labels)
    probability = weight / weight.sum(axis=1, keepdims=True)
    return y, Predictions(labels[probability.argmax(axis=1)], probability, labels)


def test_regression_equals_sklearn():
    y = RANDOM.normal(3, 2, 300)
    said = y + RANDOM.normal(0, 1, 300)
    found = scores(y, Predictions(said), ["rmse", "mae", "mape", "r2"])
    assert found == pytest.approx(
        {
            "rmse": theirs.root_mean_squared_error(y, said),
            "mae": theirs.mean_absolute_error(y, said),
            "mape": theirs.mean_absolute_percentage_error(y, said),
            "r2": theirs.r2_score(y, said),
        },
        rel=1e-12,
    )


@pytest.mark.parametrize("classes", [[0, 1], ["no", "yes"], [False, True]])
def test_two_classes_equal_sklearn(classes):
    y, said = classified(classes)
    positive, last = said.positive, classes[-1]
    found = scores(pd.Series(y), said, ["log_loss", "brier", "accuracy", "f1", "roc_auc", "average_precision"])
    assert found == pytest.approx(
        {
            "log_loss": theirs.log_loss(y, said.probability),
            "brier": theirs.brier_score_loss(y, positive, pos_label=last),
            "accuracy": theirs.accuracy_score(y, said.value),
            "f1": theirs.f1_score(y, said.value, pos_label=last),
            "roc_auc": theirs.roc_auc_score(y, positive),
            "average_precision": theirs.average_precision_score(y, positive, pos_label=last),
        },
        rel=1e-12,
    )


def test_more_classes_equal_sklearn():
    y, said = classified(["a", "b", "c"])
    found = scores(y, said, ["log_loss", "brier", "accuracy", "f1", "roc_auc", "average_precision"])
    assert found == pytest.approx(
        {
            "log_loss": theirs.log_loss(y, said.probability),
            "brier": theirs.brier_score_loss(y, said.probability),
            "accuracy": theirs.accuracy_score(y, said.value),
            "f1": theirs.f1_score(y, said.value, average="macro"),
            "roc_auc": theirs.roc_auc_score(y, said.probability, multi_class="ovr"),
            "average_precision": theirs.average_precision_score(y, said.probability),
        },
        rel=1e-12,
    )


@pytest.mark.parametrize("name", [name for name, each in METRICS.items() if each.row_loss is not None])
def test_a_metric_is_made_from_the_mean_of_its_row_losses(name):
    each = metric(name)
    y, said = classified([0, 1]) if each.kind == "classification" else (np.array([1.0, 2, 4]), Predictions(np.ones(3)))
    assert each.row_loss is not None
    losses = each.row_loss(y, said)
    assert losses.shape == y.shape and losses.min() >= 0
    assert each.from_mean(losses.mean()) == pytest.approx(each.function(y, said))
    better = Predictions(y.astype(float)) if said.classes is None else Predictions(y, np.eye(2)[y], said.classes)
    assert (each.function(y, better) > each.function(y, said)) == each.greater_is_better


def test_a_class_that_the_model_never_saw_counts_as_wrong():
    said = Predictions(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]))
    found = scores(np.array([0, 7]), said, ["log_loss", "accuracy", "brier"])
    assert found["accuracy"] == 0.5
    assert found["log_loss"] == pytest.approx((-np.log(0.9) - np.log(np.finfo(float).eps)) / 2)
    assert np.isfinite(found["brier"])


def test_undefined_is_nan_and_never_raises():
    one_class = Predictions(np.zeros(3), np.full((3, 2), 0.5), np.array([0, 1]))
    found = scores(np.zeros(3), one_class, ["roc_auc", "average_precision", "accuracy"])
    assert np.isnan([found["roc_auc"], found["average_precision"]]).all() and found["accuracy"] == 1.0
    assert np.isnan(
        list(scores(np.ones(3), Predictions(np.array([1, np.nan, 1])), ["rmse", "mae", "r2"]).values())
    ).all()
    assert np.isnan(list(scores(np.empty(0), Predictions(np.empty(0)), ["rmse", "mape", "r2"]).values())).all()


def test_names_are_checked():
    with pytest.raises(DeclarationError, match=r"metric 'rsme' is not known\. Did you mean 'rmse'"):
        metric("rsme")
    with pytest.raises(DeclarationError, match="metric 'roc_auc' is for classification, the model does regression"):
        scores(np.ones(2), Predictions(np.ones(2)), ["roc_auc"])
    labels = Predictions(np.array([0, 1]), None, np.array([0, 1]))
    assert scores(np.array([0, 0]), labels, ["accuracy"]) == {"accuracy": 0.5}
    with pytest.raises(DeclarationError, match="needs probabilities, and the estimator has no predict_proba"):
        scores(np.array([0, 0]), labels, ["log_loss"])


@pytest.mark.parametrize("problem", ["regression", "binary", "multiclass"])
def test_defaults_suit_their_problem(problem):
    kind = "regression" if problem == "regression" else "classification"
    assert {metric(name).kind for name in default_metrics(problem)} == {kind}


def said_of(each, rows=120):
    if each.kind == "classification":
        return classified(["a", "b", "c"] if each.name == "f1" else [0, 1], rows)
    y = RANDOM.normal(3, 2, rows)
    return y, Predictions(y + RANDOM.normal(0, 1, rows))


@pytest.mark.parametrize("name", METRICS)
def test_many_resamples_at_once_equal_one_after_the_other(name):
    each = metric(name)
    y, said = said_of(each)
    draws = RANDOM.integers(0, len(y), (20, len(y)))
    expected = [each.function(y[rows], said.take(rows)) for rows in draws]
    if each.row_statistics is not None:
        statistics = each.row_statistics(y, said)
        found = each.from_means(np.array([statistics[rows].mean(axis=0) for rows in draws]))
    else:
        found = each.reweighted(y, said)(np.array([np.bincount(rows, minlength=len(y)) for rows in draws]))
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("name", METRICS)
def test_influence_is_what_leaving_a_row_out_does(name):
    each = metric(name)
    y, said = said_of(each, 400)
    influence = each.influence(y, said)
    assert influence.shape == y.shape
    whole, spread = each.function(y, said), influence.std()
    without = [each.function(np.delete(y, row), said.take(np.delete(np.arange(400), row))) for row in range(0, 400, 8)]
    np.testing.assert_allclose(399 * (whole - np.array(without)), influence[::8], atol=0.1 * spread)
    assert abs(influence.mean()) < 0.02 * spread
    draws = RANDOM.integers(0, 400, (400, 400))
    bootstrap = np.std([each.function(y[rows], said.take(rows)) for rows in draws])
    assert spread / 20 == pytest.approx(bootstrap, rel=0.15)


def test_rankings_of_more_classes_are_resampled_class_by_class():
    y, said = classified(["a", "b", "c"], 200)
    rows = RANDOM.integers(0, 200, 200)
    weights = np.array([np.bincount(rows, minlength=200), y == "a"])
    for name in ("roc_auc", "average_precision"):
        each = metric(name)
        drawn, one_class = each.reweighted(y, said)(weights)
        assert drawn == pytest.approx(each.function(y[rows], said.take(rows))) and np.isnan(one_class)
