import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC

from mlops_assets.errors import FeaturesError, TrainingError
from mlops_assets.modelling import predictions
from mlops_assets.modelling.predictions import Predictions, predict, predict_in_parts

X = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
LABELS = pd.Series(["no", "no", "yes", "yes"])


def test_a_classifier_gives_labels_and_a_probability_for_each_class():
    said = predict(LogisticRegression().fit(X, LABELS), X)
    assert said.value.tolist() == LABELS.tolist()
    assert said.classes is not None and said.classes.tolist() == ["no", "yes"]
    assert np.all(np.diff(said.positive) > 0)
    assert said.take(np.array([3, 0])).value.tolist() == ["yes", "no"]
    assert said.take(np.array([3, 0])).positive.tolist() == [said.positive[3], said.positive[0]]


def test_a_regressor_gives_numbers_only():
    said = predict(LinearRegression().fit(X, [0, 2, 4, 6]), X)
    assert said.value == pytest.approx([0, 2, 4, 6])
    assert said.probability is None and said.classes is None
    assert said.take(np.array([False, True, False, False])).value == pytest.approx([2])


def test_a_classifier_without_probabilities_has_no_positive():
    said = predict(LinearSVC().fit(X, LABELS), X)
    assert said.probability is None and said.classes is not None
    with pytest.raises(TrainingError, match="got no probabilities"):
        _ = said.positive
    with pytest.raises(TrainingError, match="needs two classes"):
        _ = Predictions(np.zeros(1), np.ones((1, 3)) / 3, np.arange(3)).positive


def test_names_what_cannot_be_scored():
    model = LinearRegression().fit(X, [0, 2, 4, 6])
    with pytest.raises(FeaturesError, match=r"1 of the 2 columns .* missing: \['b'\]"):
        predict(model, X[["a"]])
    with pytest.raises(FeaturesError, match=r"cannot score 4 rows x 2 columns: ValueError: .*'x'"):
        predict(model, X.assign(a="x"))


@pytest.mark.parametrize("model", [LinearRegression(), LogisticRegression(), LinearSVC()])
def test_predictions_of_parts_are_those_of_all_rows(monkeypatch, model):
    monkeypatch.setattr(predictions, "ROWS_AT_ONCE", 30)
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(100, 3)), columns=list("abc"))
    fitted = model.fit(rows, rows["a"] > 0)
    whole, parts = predict(fitted, rows), predict_in_parts(fitted, rows)
    assert np.allclose(parts.value.astype(float), whole.value.astype(float))
    assert (parts.probability is None) == (whole.probability is None)
    if whole.probability is not None:
        assert np.allclose(parts.probability, whole.probability)
