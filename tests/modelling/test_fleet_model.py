"""A fleet in one estimator: rows go to the model of their segment, and a segment earns its own."""

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from mlops_assets.errors import FeaturesError, TrainingError
from mlops_assets.modelling.engine import Processes
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.search import fit, search
from mlops_assets.modelling.fleet import FleetModel, keep_champions, own_models, segment_table, take_back
from mlops_assets.modelling.predictions import predict
from mlops_assets.modelling.splits import time_folds
from mlops_assets.modelling.thresholds import ThresholdRule
from mlops_assets.resources.mlflow.model_files import load_model, save_model

RIDGE, LOGISTIC = "sklearn.linear_model.Ridge", "sklearn.linear_model.LogisticRegression"
BOOSTED = "sklearn.ensemble.HistGradientBoostingRegressor"
SHOPS = [f"shop {number}" for number in range(8)]
OTHERS = {"shop 0", "shop 1"}


def of_shops(rows: int = 400, small: int = 60) -> tuple[pd.DataFrame, pd.Series]:
    """Eight shops in order of time: demand falls with the price in two of them, rises in the others; one is small."""
    random = np.random.default_rng(5)
    shop = np.concatenate([np.tile(SHOPS[:7], rows), np.repeat(SHOPS[7], small)])
    shop = shop[random.permutation(len(shop))]
    kind = random.choice(["food", "toys"], len(shop))
    X = pd.DataFrame({"price": random.normal(size=len(shop)), "kind": kind, "shop": shop})
    y = np.where(X["shop"].isin(OTHERS), -1.0, 1.0) * X["price"] + (kind == "toys") + random.normal(size=len(shop)) / 2
    return X, y.rename("demand")


def fitted(estimator=RIDGE, by="shop", problem="regression", params=None, **fleet):
    X, y = of_shops()
    labels = y if problem == "regression" else (y > 0.5).map({True: "many", False: "few"})
    rule = ThresholdRule(fleet={"by": by, **fleet})
    return fit(build(estimator, params or {}, X, problem, 0, labels, rule), X, labels), X, labels


def test_a_segment_that_gains_has_its_own_model_and_the_others_share_one():
    model, X, _ = fitted()
    fleet = model.named_steps["fleet"]
    assert set(fleet.models_) >= OTHERS and len(fleet.models_) < 8 and "shop 7" not in fleet.models_
    slope = {name: own.coef_[0] for name, own in fleet.models_.items()}
    assert all(slope[name] < -0.9 for name in OTHERS)
    predicted = model.predict(X)
    for name in OTHERS:
        rows = (X["shop"] == name).to_numpy()
        own = fleet.models_[name].predict(fleet.shared_.transform(X[rows].drop(columns="shop")))
        np.testing.assert_array_equal(predicted[rows], own)
    rows = ~X["shop"].isin(fleet.models_).to_numpy()
    pooled = fleet.pooled_.predict(fleet.shared_.transform(X[rows].drop(columns="shop")))
    np.testing.assert_array_equal(predicted[rows], pooled)


def test_an_own_model_is_that_of_the_segments_rows_alone():
    model, X, y = fitted()
    fleet = model.named_steps["fleet"]
    rows = (X["shop"] == "shop 1").to_numpy()
    alone = Ridge(random_state=0).fit(fleet.shared_.transform(X[rows].drop(columns="shop")), y[rows])
    np.testing.assert_array_equal(fleet.models_["shop 1"].coef_, alone.coef_)


def test_unseen_and_missing_segments_have_the_pooled_model():
    model, X, _ = fitted()
    fleet = model.named_steps["fleet"]
    pooled = fleet.pooled_.predict(fleet.shared_.transform(X.drop(columns="shop")))
    for name in ("a new shop", None, np.nan):
        np.testing.assert_array_equal(model.predict(X.assign(shop=name)), pooled)


def test_shops_that_do_not_differ_share_the_pooled_model():
    X, _ = of_shops()
    y = X["price"] + np.random.default_rng(0).normal(size=len(X))
    model = build(RIDGE, {}, X, "regression", 0, y, ThresholdRule(fleet={"by": "shop"})).fit(X, y)
    assert model.named_steps["fleet"].models_ == {}


def test_whole_numbers_name_one_segment_whatever_their_type():
    X, y = of_shops()
    numbers = X["shop"].map({name: number for number, name in enumerate(SHOPS)})
    X = X.assign(shop=numbers)
    model = build(RIDGE, {}, X, "regression", 0, y, ThresholdRule(fleet={"by": "shop"})).fit(X, y)
    assert {"0", "1"} <= set(model.named_steps["fleet"].models_)
    expected = model.predict(X)
    for kind in ("float64", "Int64", "category", "object"):
        np.testing.assert_array_equal(model.predict(X.assign(shop=numbers.astype(kind))), expected)


@pytest.mark.parametrize(
    ("estimator", "problem", "params"),
    [(RIDGE, "regression", {}), (BOOSTED, "regression", {"max_iter": 5}), (LOGISTIC, "binary", {})],
)
def test_a_stored_fleet_predicts_the_same_and_has_the_same_digests(estimator, problem, params, tmp_path: Path):
    model, X, _ = fitted(estimator, problem=problem, params=params)
    loaded = load_model(tmp_path / "model", save_model(model, tmp_path / "model", X))
    one, other = predict(model, X), predict(loaded, X)
    np.testing.assert_array_equal(one.value, other.value)
    if problem == "binary":
        np.testing.assert_array_equal(one.probability, other.probability)
        assert one.classes.tolist() == ["few", "many"] and set(one.value) == {"few", "many"}
    fleet, again = model.named_steps["fleet"], loaded.named_steps["fleet"]
    assert fleet.digests() == again.digests() and set(fleet.digests()) >= OTHERS
    assert len(set(fleet.digests().values())) == len(fleet.models_)
    pd.testing.assert_frame_equal(segment_table(fleet), segment_table(again))


def test_a_fleet_is_fitted_the_same_twice_and_whatever_the_other_segments_are_called():
    model, X, y = fitted(BOOSTED, params={"max_iter": 5})
    again, *_ = fitted(BOOSTED, params={"max_iter": 5})
    fleet = model.named_steps["fleet"]
    assert fleet.digests() == again.named_steps["fleet"].digests()
    renamed = X.assign(shop=X["shop"].replace({"shop 3": "a third"}))
    other = clone(model).fit(renamed, y).named_steps["fleet"]
    assert {name: fleet.digests()[name] for name in OTHERS} == {name: other.digests()[name] for name in OTHERS}


def test_it_is_an_estimator_of_the_kind_of_its_inner_one():
    assert is_regressor(FleetModel(Ridge())) and not is_classifier(FleetModel(Ridge()))
    assert not hasattr(FleetModel(Ridge()), "predict_proba")
    model, *_ = fitted(LOGISTIC, problem="binary")
    assert is_classifier(model) and model.classes_.tolist() == ["few", "many"]
    copy = clone(model).named_steps["fleet"]
    assert copy.by == "shop" and not hasattr(copy, "models_")
    assert copy.get_params()["estimator__model__C"] == 1.0


def test_a_search_tries_the_parameters_of_the_inner_estimator():
    X, y = of_shops()
    pipeline = build(RIDGE, {}, X, "regression", 0, y, ThresholdRule(fleet={"by": "shop"}))
    folds = time_folds(pd.Series(np.arange(len(X)) * 6 // len(X)), 2)
    found = search(pipeline, X, y, folds, {"alpha": [1.0, 1e6]}, "grid", 2, "rmse", 0)
    assert found.params == {"alpha": 1.0}
    assert {own.alpha for own in found.model.named_steps["fleet"].models_.values()} == {1.0}


def test_a_class_that_a_segment_lacks_leaves_it_to_the_pooled_model():
    X, y = of_shops()
    labels = (y > 0.5).map({True: "many", False: "few"}).mask(X["shop"] == "shop 0", "few")
    model = build(LOGISTIC, {}, X, "binary", 0, labels, ThresholdRule(fleet={"by": "shop"})).fit(X, labels)
    fleet = model.named_steps["fleet"]
    assert "shop 0" not in fleet.models_ and "shop 1" in fleet.models_
    assert model.predict_proba(X).shape == (len(X), 2)


def test_the_table_lists_every_segment_with_its_evidence():
    table = fitted()[0].named_steps["fleet"].table().set_index("segment")
    assert set(table.index) == set(SHOPS)
    assert (table.loc[list(OTHERS), "model"] == "own").all() and (table.loc[list(OTHERS), "gain"] > 0.5).all()
    assert table.loc["shop 7", "model"] == "pooled" and np.isnan(table.loc["shop 7", "p"])
    assert (table["digest"].str.len() == np.where(table["model"] == "own", 64, 0)).all()


def test_rows_without_the_column_are_refused():
    model, X, _ = fitted()
    with pytest.raises(FeaturesError, match="1 of the 3 columns that the model was trained on are missing"):
        predict(model, X.drop(columns="shop"))
    with pytest.raises(FeaturesError, match="the column 'shop' that names the segment is missing"):
        FleetModel(Ridge(), "shop").fit(X[["price"]], X["price"])


def test_a_segment_that_cannot_be_fitted_has_the_pooled_model():
    X, y = of_shops()
    labels = pd.Series(np.where((y > 0.5) ^ X["shop"].eq("shop 1"), "many", "few"))
    early = X["shop"].eq("shop 0") & (np.arange(len(X)) < len(X) // 2)
    labels = labels.mask(early, "few")  # the first folds of its calibration have one class
    rule = ThresholdRule(calibrate="sigmoid", fleet={"by": "shop"})
    fleet = build(LOGISTIC, {}, X, "binary", 0, labels, rule).fit(X, labels).named_steps["fleet"]
    assert "shop 0" not in fleet.models_ and "shop 1" in fleet.models_


def refitted(before, change, seed=1):
    """A fleet of later rows, where `change` of them is another y, and what each model loses on rows that follow."""
    X, y = of_shops()
    later = change(X, y) + np.random.default_rng(seed).normal(size=len(X)) / 10
    after = clone(before).fit(X, later)
    gains = (later - before.predict(X)) ** 2 - (later - after.predict(X)) ** 2
    return before.named_steps["fleet"], after.named_steps["fleet"], gains.to_numpy(), X


def falls_in_shop_3(X, y):
    return y.where(X["shop"] != "shop 3", y - 4 * X["price"])


def test_segments_that_do_not_gain_keep_the_champions_model_by_its_digest():
    before, after, gains, X = refitted(fitted()[0], falls_in_shop_3)
    gains = np.where(X["shop"] == "shop 3", gains, 0.0)
    kept = keep_champions(after, before, gains, X)
    assert set(kept.route_) == set(SHOPS) - {"shop 3"}
    same = kept.predict(X) == before.predict(X)
    assert (same == (X["shop"] != "shop 3")).all()
    rows = X["shop"] == "shop 3"
    np.testing.assert_array_equal(kept.predict(X)[rows], after.predict(X)[rows])
    assert {name: kept.digests()[name] for name in OTHERS} == {name: before.digests()[name] for name in OTHERS}
    assert kept.predict(X.assign(shop="unseen")).tolist() == after.predict(X.assign(shop="unseen")).tolist()


def test_kept_models_are_handed_on_without_the_fleets_that_nobody_needs(tmp_path: Path):
    model = fitted()[0]
    before, after, _, X = refitted(model, falls_in_shop_3)
    second = keep_champions(after, before, np.where(X["shop"] == "shop 3", 1.0, 0.0), X)
    third = keep_champions(after, second, np.where(X["shop"] == "shop 4", 1.0, 0.0), X)
    assert [sorted(part.models_) for part in third.kept_] == [
        sorted(set(before.models_) - {"shop 3", "shop 4"}),
        sorted({"shop 3"} & set(after.models_)),
    ]
    assert all(part.kept_ == [] for part in third.kept_)
    rows = ~X["shop"].isin(["shop 3", "shop 4"])
    np.testing.assert_array_equal(third.predict(X)[rows], before.predict(X)[rows])
    none_left = keep_champions(after, third, np.random.default_rng(0).normal(1, 0.1, len(X)), X)
    assert set(none_left.route_) <= {"shop 7"} and len(none_left.kept_) <= 1  # all with enough rows have gained
    whole = Pipeline([("fleet", third)])
    loaded = load_model(tmp_path / "model", save_model(whole, tmp_path / "model", X))
    np.testing.assert_array_equal(loaded.predict(X), whole.predict(X))
    assert loaded.named_steps["fleet"].digests() == third.digests()


def test_a_champion_is_kept_where_nothing_changed():
    """Few segments of equal models pass: with no gain anywhere all that pass are false."""
    wrong = 0
    for seed in range(5):
        before, after, _, X = refitted(fitted()[0], lambda X, y: y, seed)
        gains = np.random.default_rng(seed).normal(size=len(X))
        wrong += len(keep_champions(after, before, gains, X).route_) < 8
    assert wrong <= 1


def test_segments_go_back_to_a_former_fleet_and_nothing_else_changes(tmp_path: Path):
    before, after, _, X = refitted(fitted()[0], falls_in_shop_3)
    second = keep_champions(after, before, np.where(X["shop"] == "shop 3", 1.0, 0.0), X)
    gone = X["shop"].isin(["shop 3", "shop 0"]).to_numpy()
    for present, former in ((second, before), (after, before), (after, second)):
        back = take_back(present, former, ["shop 3", "shop 0"])
        np.testing.assert_array_equal(back.predict(X)[gone], former.predict(X)[gone])
        np.testing.assert_array_equal(back.predict(X)[~gone], present.predict(X)[~gone])
        unseen = X.assign(shop="unseen")
        np.testing.assert_array_equal(back.predict(unseen), present.predict(unseen))
        assert all(part.kept_ == [] for part in back.kept_)
    again = take_back(back, present, ["shop 3", "shop 0"])
    np.testing.assert_array_equal(again.predict(X), present.predict(X))
    loaded = load_model(tmp_path / "model", save_model(Pipeline([("fleet", back)]), tmp_path / "model", X))
    np.testing.assert_array_equal(loaded.predict(X), back.predict(X))
    with pytest.raises(TrainingError, match=r"segments .*mars.* are not in the former version"):
        take_back(present, former, ["shop 3", "mars"])


@pytest.mark.parametrize(("estimator", "params"), [(RIDGE, {}), (BOOSTED, {"max_iter": 3})])
def test_an_engine_fits_the_same_models_bit_for_bit(estimator, params, monkeypatch):
    monkeypatch.setattr(own_models, "CHUNK", 3)
    X, y = of_shops()
    rule = ThresholdRule(fleet={"by": "shop"})
    here, elsewhere = (build(estimator, params, X, "regression", 0, y, rule) for _ in range(2))
    fit(here, X, y)
    fit(elsewhere, X, y, {"fleet__engine": Processes(2)})
    one, other = here.named_steps["fleet"], elsewhere.named_steps["fleet"]
    assert one.digests() == other.digests() and set(one.digests()) >= OTHERS
    pd.testing.assert_frame_equal(segment_table(one), segment_table(other))
    np.testing.assert_array_equal(here.predict(X), elsewhere.predict(X))


def test_it_says_how_many_segments_are_fitted(monkeypatch):
    monkeypatch.setattr(own_models, "CHUNK", 2)
    X, y = of_shops()
    said = []
    model = build(RIDGE, {}, X, "regression", 0, y, ThresholdRule(fleet={"by": "shop"}))
    fleet = fit(model, X, y, {"fleet__progress": said.append}).named_steps["fleet"]
    assert said[:4] == [f"fitted {done} of 7 segments" for done in (2, 4, 6, 7)]  # the eighth has few rows
    assert said[-1] == f"fitted {len(fleet.models_)} of {len(fleet.models_)} segments"


class _RefusesLowMeans(Ridge):
    """Fails where the labels of a segment are low."""

    def fit(self, X, y, sample_weight=None):
        if np.mean(y) < -3:
            raise RuntimeError("labels are too low")
        return super().fit(X, y, sample_weight)


def test_a_fit_that_raises_leaves_its_segment_to_the_pooled_model_and_is_counted():
    X, y = of_shops()
    y = y.mask(X["shop"] == "shop 0", y - 10)
    fleet = FleetModel(_RefusesLowMeans(), "shop").fit(X.drop(columns="kind"), y)
    assert fleet.failed_ == {"shop 0": "RuntimeError: labels are too low"}
    assert "shop 0" not in fleet.models_ and "shop 1" in fleet.models_
    assert copy.copy(fleet).failed_ == fleet.failed_


def test_what_the_champion_has_never_seen_keeps_its_pooled_model_unless_the_new_one_gains():
    model = fitted()[0]
    before, after, _, X = refitted(model, falls_in_shop_3)
    rows, new = X["shop"] == "shop 2", X["shop"] == "shop 5"
    named = X.assign(shop=X["shop"].mask(rows, None).mask(new, "a new shop"))
    pooled = model.predict(X.assign(shop="unseen"))
    kept = keep_champions(after, before, np.zeros(len(X)), named)
    np.testing.assert_array_equal(kept.predict(named)[rows | new], pooled[rows | new])
    assert kept.predict(X.assign(shop="a later one")).tolist() == after.predict(X.assign(shop="a later one")).tolist()
    gains = np.where(rows | new, 1.0, 0.0)
    taken = keep_champions(after, before, gains, named)
    np.testing.assert_array_equal(taken.predict(named)[rows | new], after.predict(named)[rows | new])
    assert "" in kept.route_ and "" not in taken.route_ and "" not in set(taken.table()["segment"])


def test_a_fleet_of_which_nothing_passes_predicts_as_the_champion_does():
    model = fitted()[0]
    before, after, _, X = refitted(model, falls_in_shop_3)
    named = X.assign(shop=X["shop"].mask(X["shop"] == "shop 2", None).mask(X["shop"] == "shop 5", "a new shop"))
    kept = keep_champions(after, before, np.random.default_rng(0).normal(-1, 1, len(X)), named)
    np.testing.assert_array_equal(kept.predict(named), model.predict(named))
