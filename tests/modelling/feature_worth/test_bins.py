import numpy as np
import pandas as pd
import pytest

from mlops_assets.modelling.feature_worth.bins import bin_means
from mlops_assets.modelling.metrics import scores

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=5_000)


def test_a_number_tells_what_its_bins_tell():
    said = bin_means(pd.Series(X), pd.Series(X**2), pd.Series([-1.0, 0.0, 1.0, np.nan]), "regression")
    assert said.value == pytest.approx([1.0, 0.0, 1.0, 1.0], abs=0.15)  # missing is not known: the mean of all
    said = bin_means(pd.Series(X), pd.Series(X**2), pd.Series(X), "regression")
    assert scores(X**2, said, ["r2"])["r2"] > 0.8


def test_a_category_tells_the_shares_of_its_classes_and_an_unseen_one_those_of_all():
    known = pd.Series(np.repeat(["a", "b"], 1_000))
    y = pd.Series(np.r_[np.repeat(["no", "yes"], [900, 100]), np.repeat(["no", "yes"], [200, 800])])
    said = bin_means(known, y, pd.Series(["a", "b", "new", None]), "binary")
    assert said.classes.tolist() == ["no", "yes"] and said.value.tolist() == ["no", "yes", "no", "no"]
    assert said.probability[:, 1] == pytest.approx([0.1, 0.8, 0.45, 0.45], abs=0.01)


def test_missing_is_a_value_of_its_own():
    known, y = pd.Series([np.nan] * 500 + [1.0] * 500), pd.Series([1.0] * 500 + [0.0] * 500)
    said = bin_means(known, y, pd.Series([np.nan, 1.0]), "regression")
    assert said.value == pytest.approx([1.0, 0.0], abs=0.02)
    flags = bin_means(pd.Series([True, False] * 500), pd.Series([1.0, 0.0] * 500), pd.Series([True]), "regression")
    assert flags.value == pytest.approx([1.0], abs=0.02)
