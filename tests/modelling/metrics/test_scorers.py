import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as theirs

from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.metrics import METRICS, metric, scores
from mlops_assets.modelling.predictions import Predictions

RANDOM = np.random.default_rng(11)


def classified(classes: list, rows: int = 300) -> tuple[np.ndarray, Predictions]:
    labels = np.array(classes)
    y = RANDOM.choice(labels, rows)
    weight = RANDOM.random((rows, len(labels))) + 0.5 * (y[:, None] == labels)
    probability = weight / weight.sum(axis=1, keepdims=True)
    return y, Predictions(labels[probability.argmax(axis=1)], probability, labels)


@pytest.mark.parametrize("classes", [[0, 1], ["no", "yes"]])
def test_scorers_of_two_classes_equal_sklearn_whatever_the_classes_are_called(classes):
    y, said = classified(classes)
    last = classes[-1]
    found = scores(y, said, ["balanced_accuracy", "matthews_corrcoef", "precision", "neg_log_loss", "roc_auc_ovr"])
    assert found == pytest.approx(
        {
            "balanced_accuracy": theirs.balanced_accuracy_score(y, said.value),
            "matthews_corrcoef": theirs.matthews_corrcoef(y, said.value),
            "precision": theirs.precision_score(y, said.value, pos_label=last),
            "neg_log_loss": -theirs.log_loss(y, said.probability),
            "roc_auc_ovr": theirs.roc_auc_score(y, said.positive),
        },
        rel=1e-12,
    )


def test_scorers_of_regression_and_of_more_classes_equal_sklearn():
    y = RANDOM.normal(size=200)
    said = Predictions(y + RANDOM.normal(size=200))
    assert scores(y, said, ["neg_median_absolute_error", "explained_variance"]) == {
        "neg_median_absolute_error": -theirs.median_absolute_error(y, said.value),
        "explained_variance": theirs.explained_variance_score(y, said.value),
    }
    y, said = classified(["a", "b", "c"])
    assert scores(y, said, ["f1_weighted", "roc_auc_ovo"]) == pytest.approx(
        {
            "f1_weighted": theirs.f1_score(y, said.value, average="weighted"),
            "roc_auc_ovo": theirs.roc_auc_score(y, said.probability, multi_class="ovo"),
        }
    )


def test_every_scorer_is_a_metric_or_named_as_unknown():
    two, three = classified([0, 1]), classified([0, 1, 2])
    numbers = RANDOM.random(100) + 0.5, Predictions(RANDOM.random(100) + 0.5)
    refused = []
    for name in theirs.get_scorer_names():
        try:
            each = metric(name)
        except DeclarationError:
            refused.append(name)
            continue
        y, said = numbers if each.kind == "regression" else two
        assert np.isfinite(scores(y, said, [name])[name]), name
        assert each.kind == "regression" or name in METRICS or "likelihood" in name or scores_or_refusal(name, *three)
    assert {"adjusted_rand_score", "f1_samples"} <= set(refused)
    assert all(name.endswith(("_samples", "_score")) for name in refused), refused


def scores_or_refusal(name, y, said):
    try:
        return np.isfinite(scores(y, said, [name])[name])
    except DeclarationError as error:
        return "is for two classes, the model has 3" in str(error)


def test_what_sklearn_calls_undefined_is_nan():
    y, said = np.zeros(5), Predictions(np.zeros(5), np.full((5, 2), 0.5), np.array([0, 1]))
    assert np.isnan(scores(y, said, ["roc_auc_ovr"])["roc_auc_ovr"])
    negative = scores(np.ones(3), Predictions(-np.ones(3) * 2), ["neg_mean_squared_log_error"])
    assert np.isnan(negative["neg_mean_squared_log_error"])


def test_names_and_needs_are_checked():
    with pytest.raises(DeclarationError, match=r"metric 'no_such_thing' is not known\. Known: accuracy"):
        metric("no_such_thing")
    with pytest.raises(DeclarationError, match="metric 'max_error' is not known"):
        metric("max_error")
    labels = Predictions(np.array([0, 1]), None, np.array([0, 1]))
    with pytest.raises(DeclarationError, match="needs probabilities"):
        scores(np.array([0, 1]), labels, ["neg_log_loss"])
    with pytest.raises(DeclarationError, match=r"for two classes, the model has 3\. Use 'precision_macro'"):
        scores(*classified([0, 1, 2]), ["precision"])


def test_sklearn_is_imported_for_its_scorers_only():
    code = (
        "import sys; from mlops_assets.modelling.metrics import metric; metric('rmse');"
        "assert 'sklearn' not in sys.modules; metric('balanced_accuracy'); assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
