import numpy as np
import pandas as pd
import pytest

from mlops_assets.errors import DeclarationError, TrainingError
from mlops_assets.modelling.problem import problem_of


@pytest.mark.parametrize(
    ("values", "declared", "expected"),
    [
        (np.arange(21.0), None, "regression"),
        (np.arange(20), None, "multiclass"),
        (np.arange(20), "regression", "regression"),
        (np.arange(50), "classification", "multiclass"),
        ([0, 1, None, 1], None, "binary"),
        (["yes", "no", None], None, "binary"),
        ([True, False, True], None, "binary"),
        ([f"class {n}" for n in range(30)], None, "multiclass"),
    ],
)
def test_infers_or_takes_the_declared_problem(values, declared, expected):
    assert problem_of(pd.Series(values), declared) == expected


@pytest.mark.parametrize(
    ("values", "declared", "message"),
    [
        (["no", "no", None], None, "target 'y' has one class only, 'no', in 2 labelled rows"),
        ([None, None], None, "target 'y' has no labels in 2 rows"),
        (["a", "b"], "regression", "declared as regression but holds .* e.g. 'a'"),
    ],
)
def test_refuses_a_target_that_cannot_be_learnt(values, declared, message):
    with pytest.raises(TrainingError, match=message):
        problem_of(pd.Series(values, name="y"), declared)


def test_suggests_the_nearest_problem():
    with pytest.raises(DeclarationError, match="Did you mean 'regression'"):
        problem_of(pd.Series([1, 2]), "regresion")
