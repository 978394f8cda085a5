"""How far two models are from one another on labelled rows."""

import numpy as np
import pandas as pd
import pytest

from mlops_assets.modelling.feature_worth.distances import distances
from mlops_assets.modelling.predictions import Predictions


def test_numbers_are_compared_by_their_root_mean_square():
    y = pd.Series([1.0, 2.0, 3.0, 6.0])
    found = distances(y, Predictions(np.array([1.0, 2.0, 3.0, 2.0])), Predictions(np.array([1.0, 2.0, 5.0, 2.0])))
    assert (found.rows, found.apart, found.error) == (4, 1.0, 2.0)
    assert found.spread == pytest.approx(np.std(y))


def test_probabilities_are_compared_by_class_and_a_class_unknown_to_one_has_none():
    y = pd.Series(["a", "b", "c", "a"])
    one = Predictions(np.array(["a", "b", "b", "a"]), np.array([[1, 0], [0, 1], [0, 1], [1, 0]]), np.array(["a", "b"]))
    other = Predictions(
        np.array(["a", "b", "c", "a"]),
        np.array([[0, 1, 0], [0, 0, 1], [0.6, 0, 0.4], [0, 1, 0]]),
        np.array(["c", "a", "b"]),
    )
    found = distances(y, one, other)
    assert found.error == pytest.approx(np.sqrt(2 / 4))  # one row of certainty in another class
    assert found.apart == pytest.approx(np.sqrt((0.6**2 + 0.6**2) / 4))


@pytest.mark.parametrize("labels", [(False, True), (0, 1), ("no", "yes")])
def test_labels_without_probabilities_are_certain(labels):
    no, yes = labels
    classes = np.array([no, yes])
    y = pd.Series([no, yes, no, yes])
    one = Predictions(np.array([no, yes, no, no]), None, classes)
    found = distances(y, one, Predictions(np.array([no, yes, no, yes]), None, classes))
    assert found.apart == found.error == pytest.approx(np.sqrt(2 / 4))
    assert found.spread == pytest.approx(np.sqrt(0.5))
