"""Many fitted models stored as one: what comes back has the same numbers, of the same types, and is small."""

import copy
from pathlib import Path

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge, SGDRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor
from test_fleet_model import fitted

from mlops_assets.modelling.fleet.digest import digest_of_estimator
from mlops_assets.modelling.fleet.stored import packed, unpacked
from mlops_assets.resources.mlflow.model_files import load_model, save_model, size_of

random = np.random.default_rng(0)
X = random.normal(size=(60, 3))
LABELS = random.choice(["few", "many", "none"], 60)

WHOLE = [Ridge(), SGDRegressor(), LogisticRegression(), GaussianNB()]
ONE_BY_ONE = [SVR(), DecisionTreeRegressor(), HistGradientBoostingRegressor(max_iter=3)]
NESTED = [CalibratedClassifierCV(LogisticRegression(), cv=2)]


def several(estimator):
    """Models of one estimator on other rows each."""
    y = LABELS if hasattr(estimator, "predict_proba") else X[:, 0]
    return [copy.deepcopy(estimator).fit(X[start:], y[start:]) for start in range(0, 20, 4)]


@pytest.mark.parametrize("estimator", [*WHOLE, *ONE_BY_ONE, *NESTED], ids=lambda each: type(each).__name__)
def test_models_come_back_as_they_were(estimator):
    models = several(estimator)
    again = unpacked(packed(models))
    assert [digest_of_estimator(one) for one in again] == [digest_of_estimator(one) for one in models]
    for one, other in zip(models, again, strict=True):
        assert {name: type(value) for name, value in vars(one).items()} == {
            name: type(value) for name, value in vars(other).items()
        }
        np.testing.assert_array_equal(one.predict(X), other.predict(X))


@pytest.mark.parametrize("estimator", WHOLE, ids=lambda each: type(each).__name__)
def test_what_linear_and_bayesian_models_hold_becomes_arrays(estimator):
    content = packed(several(estimator))
    assert not [name for name, column in content["columns"].items() if "each" in column]


def test_models_that_are_not_alike_are_kept_one_by_one():
    several_kinds = [Ridge().fit(X, X[:, 0]), LogisticRegression().fit(X, LABELS)]
    assert packed(several_kinds) == {"models": several_kinds} and packed([]) == {"models": []}
    of_other_widths = [Ridge().fit(X, X[:, 0]), Ridge().fit(X[:, :2], X[:, 0])]
    again = unpacked(packed(of_other_widths))
    assert [model.coef_.shape for model in again] == [(3,), (2,)]


def test_an_array_keeps_its_order_in_memory():
    models = [Ridge().fit(X, X[:, :2]) for _ in range(2)]
    for model in models:
        model.coef_ = np.asfortranarray(model.coef_)
    assert all(model.coef_.flags.f_contiguous for model in unpacked(packed(models)))


def test_a_segments_model_takes_bytes_and_not_kilobytes(tmp_path: Path):
    model, rows, _ = fitted()
    fleet = model.named_steps["fleet"]
    save_model(model, tmp_path / "one", rows)
    first = next(iter(fleet.models_.values()))
    fleet.models_ = {f"shop {number}": copy.deepcopy(first) for number in range(1_000)}
    digest = save_model(model, tmp_path / "many", rows)
    assert size_of(tmp_path / "many") - size_of(tmp_path / "one") < 200 * 1_000
    again = load_model(tmp_path / "many", digest).named_steps["fleet"]
    assert again.digests() == fleet.digests() and len(again.models_) == 1_000


def test_a_copy_of_a_fleet_shares_its_models():
    fleet = fitted()[0].named_steps["fleet"]
    other = copy.copy(fleet)
    assert other.models_ is fleet.models_ and other.pooled_ is fleet.pooled_
