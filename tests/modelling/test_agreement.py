"""What is held against each other when a version is fitted again, without Dagster or MLflow."""

import importlib
import json
import sys

import numpy as np
import pandas as pd
import pytest

from mlops_assets.errors import TrainingError
from mlops_assets.modelling.agreement import (
    UNEXPLAINED,
    Agreement,
    Difference,
    Reproduction,
    agreement,
    differences,
    refit,
)
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.modelling.recipe import Recipe, code_of, digest_of, packages_of, restored, text_of

SAME = Agreement(100, 0.0, 2.0, True)
OTHER = Agreement(100, 0.5, 2.0, False)


def reproduction(agreements=None, anew=None, found=(), **more):
    return Reproduction(
        model="bike", version=3, agreements=agreements or {}, anew=anew or {}, differences=tuple(found), **more
    )


@pytest.mark.parametrize(
    ("moved", "verdict", "greatest", "relative"),
    [
        (0.0, "identical", 0.0, 0.0),
        (1e-9, "within tolerance", 1e-9, 2.5e-10),
        (3.9e-6, "within tolerance", 3.9e-6, 9.75e-7),
        (4.1e-6, "differs", 4.1e-6, 1.025e-6),
        (float("nan"), "differs", float("inf"), float("inf")),
    ],
)
def test_predictions_are_identical_within_a_millionth_of_their_spread_or_differ(moved, verdict, greatest, relative):
    registered = np.array([1.0, 2.0, 5.0, np.nan])
    refitted = registered + np.array([0.0, moved, 0.0, 0.0])
    found = agreement(Predictions(registered), Predictions(refitted))
    assert (found.verdict, found.rows, found.spread) == (verdict, 4, 4.0)
    assert found.max_difference == pytest.approx(greatest, rel=1e-5)
    assert found.relative == pytest.approx(relative, rel=1e-5)


def test_last_bit_is_not_identical_and_constant_predictions_have_a_scale():
    constant = np.full(3, 7.0)
    found = agreement(Predictions(constant), Predictions(np.nextafter(constant, 8.0)))
    assert (found.verdict, found.spread) == ("within tolerance", 7.0)
    assert agreement(Predictions(np.zeros(3)), Predictions(np.zeros(3))).verdict == "identical"


def test_probabilities_are_compared_and_labels_only_where_there_are_none():
    labels, classes = np.array(["a", "b"]), np.array(["a", "b"])
    sure, less = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([[0.8, 0.2], [0.2, 0.8]])
    found = agreement(Predictions(labels, sure, classes), Predictions(labels, less, classes))
    assert (found.verdict, found.max_difference) == ("differs", pytest.approx(0.1))
    assert agreement(Predictions(labels, None, classes), Predictions(labels, None, classes)).verdict == "identical"
    turned = agreement(Predictions(labels, None, classes), Predictions(labels[::-1], None, classes))
    assert (turned.verdict, turned.max_difference) == ("differs", float("inf"))
    other_classes = agreement(Predictions(labels, sure, classes), Predictions(labels, sure, np.array(["a", "c"])))
    assert other_classes.verdict == "differs"


def test_equal_predictions_are_identical_whatever_is_not_as_it_was():
    package = Difference("package", "scikit-learn", then="1.6.0", now="1.9.1")
    found = reproduction({"holdout": SAME}, found=[package])
    assert (found.verdict, found.because) == ("identical", ())
    assert found.reason == "identical on 100 holdout rows, bit for bit"
    assert package.sentence == "scikit-learn: 1.6.0 then, 1.9.1 now"


def test_only_what_entered_the_refit_can_be_why_it_differs():
    found = reproduction(
        {"training rows": SAME, "holdout": OTHER},
        found=[
            Difference("seed", "seed", then="0", now="1", enters="nothing"),
            Difference("code", "features: bike.lags", note="changed since", enters="features"),
            Difference("package", "numpy", then="2.0", now="2.4"),
            Difference("data", "batch b1: features", then="aa", now="bb", enters="fit"),
        ],
    )
    assert (found.verdict, found.because) == ("differs", ("data", "package"))
    assert found.reason == (
        "differs because of data, package: numpy: 2.0 then, 2.4 now; batch b1: features: aa then, bb now"
    )


def test_where_the_stored_features_give_the_same_model_their_code_is_why():
    code = Difference("code", "features: bike.lags", note="changed since", enters="features")
    package = Difference("package", "numpy", then="2.0", now="2.4")
    found = reproduction({"holdout": SAME}, {"holdout": OTHER}, [package, code])
    assert (found.verdict, found.because) == ("differs", ("code",))
    assert found.reason == "differs because of code: features: bike.lags (changed since)"
    assert reproduction({"holdout": SAME}, {"holdout": OTHER}, [package]).because == ("package",)
    assert reproduction({"holdout": SAME}, {}, [code], anew_failed=True).because == ("code",)


def test_where_both_fit_and_features_come_out_otherwise_both_are_why():
    code = Difference("code", "features: bike.lags", note="changed since", enters="features")
    package = Difference("package", "numpy", then="2.0", now="2.4")
    assert reproduction({"holdout": OTHER}, {"holdout": OTHER}, [package, code]).because == ("code", "package")
    assert reproduction({"holdout": OTHER}, {}, [package, code]).because == ("package",)


def test_what_nothing_recorded_explains_is_said_to_be_unexplained():
    assert reproduction({"holdout": OTHER}).reason == f"differs: {UNEXPLAINED}"
    told = reproduction(notes=("could not be fitted again: the estimator is gone",))
    assert (told.verdict, told.reason) == ("differs", "differs: could not be fitted again: the estimator is gone")


def test_json_has_everything_and_no_number_that_json_lacks():
    labels = Agreement(2, float("inf"), 1.0, False)
    package = Difference("package", "numpy", then="2.0", now="2.4")
    found = reproduction({"holdout": labels}, found=[package], notes=("n",), fitted_with={"seed": "0"})
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["verdict"] == "differs" and told["because"] == ["package"]
    assert told["predictions"]["holdout"]["max_difference"] is None
    assert told["differences"] == [
        {"kind": "package", "what": "numpy", "then": "2.0", "now": "2.4", "note": "", "enters": "both"}
    ]
    assert told["fitted_with"] == {"seed": "0"} and told["notes"] == ["n"]


def test_recipes_are_compared_field_by_field():
    then = Recipe(
        given={"alpha": "1.0"},
        fields={"seed": "0", "features": "bike.lags", "window": "14", "estimator": "'sklearn.linear_model.Ridge'"},
        code={"features": {"bike.lags": "aa", "bike.YEAR": "cc"}},
        packages={"numpy": "2.0", "dagster": "1.13"},
        machine={"threads": "2"},
    )
    now = Recipe(
        given={"alpha": "5.0"},
        fields={"seed": "1", "features": "bike.lags", "window": "None", "estimator": "'sklearn.linear_model.Lasso'"},
        code={"features": {"bike.lags": "bb", "bike.level": "dd"}},
        packages={"numpy": "2.4"},
        machine={"threads": "8"},
    )
    found = {each.what: each for each in differences(then, now)}
    assert {name: (each.kind, each.then, each.now, each.enters) for name, each in found.items()} == {
        "features: bike.lags": ("code", "", "", "features"),
        "features: bike.YEAR": ("code", "", "", "features"),
        "features: bike.level": ("code", "", "", "features"),
        "numpy": ("package", "2.0", "2.4", "both"),
        "dagster": ("package", "1.13", "not installed", "nothing"),
        "seed": ("seed", "0", "1", "nothing"),
        "window": ("declaration", "14", "None", "nothing"),
        "estimator": ("declaration", "'sklearn.linear_model.Ridge'", "'sklearn.linear_model.Lasso'", "nothing"),
        "parameter alpha": ("declaration", "1.0", "5.0", "nothing"),
        "threads": ("machine", "2", "8", "both"),
    }
    assert found["features: bike.YEAR"].note == "not used any more"
    declared = {each.what: each.enters for each in differences(then, now, as_declared=True)}
    assert {name: declared[name] for name in ("seed", "parameter alpha", "estimator", "window")} == {
        "seed": "fit",
        "parameter alpha": "fit",
        "estimator": "fit",
        "window": "nothing",
    }


def test_values_come_back_from_their_texts_and_nothing_is_executed():
    values = {"a": 0.1, "b": (1, 2), "c": None, "d": "l2", "e": [True, {"x": -3}], "f": np.float64(0.3)}
    texts = {name: text_of(value) for name, value in values.items()}
    assert restored(texts, {}) == values
    assert np.isnan(restored({"missing": "nan"}, {})["missing"])
    kernel = np.log1p
    assert restored({"kernel": text_of(kernel)}, {"kernel": [1, kernel]})["kernel"] is kernel
    with pytest.raises(TrainingError, match=r"kernel was __import__\('os'\), which only the recorded declaration"):
        restored({"kernel": "__import__('os')"}, {})
    for no_literal in ("{[]: 1}", "-" * 3_000 + "1"):
        with pytest.raises(TrainingError, match="which only the recorded declaration can give"):
            restored({"kernel": no_literal}, {})


def test_recipe_is_the_same_after_it_was_kept_as_json():
    recipe = Recipe(given={"alpha": "1.0"}, code={"features": {"a.b": "cc"}}, rows={"holdout": "aa-bb"})
    kept = json.loads(json.dumps(recipe.to_dict()))
    assert Recipe.from_dict(kept) == recipe
    assert digest_of(kept) == recipe.digest != Recipe().digest
    assert Recipe.from_dict({**kept, "of a later release": 1}) == recipe


SOURCE = """
YEAR = 365
CACHE = {}

def level(x):
    return [shift(each) for each in x]

def shift(x):
    return x + YEAR

def lags(batch, history):
    CACHE[len(batch)] = 1
    return level(batch)
"""


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("YEAR = 365", "YEAR = 52", {"{module}.YEAR"}),
        ("x + YEAR", "x - YEAR", {"{module}.shift"}),
        ("CACHE = {}", "CACHE = {1: 2}", set()),
        ("return level(batch)", "return level(batch)  # all of it", {"{module}.lags"}),
    ],
)
def test_the_part_of_a_function_that_changed_is_named(tmp_path, monkeypatch, before, after, changed):
    monkeypatch.syspath_prepend(tmp_path)
    module = "features_of_" + str(abs(hash((before, after))))
    found = []
    for text in (SOURCE, SOURCE.replace(before, after)):
        (tmp_path / f"{module}.py").write_text(text)
        sys.modules.pop(module, None)
        importlib.invalidate_caches()
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        import linecache

        linecache.clearcache()
        found.append(code_of(importlib.import_module(module).lags))
    one, other = found
    assert {f"{module}.{name}" for name in ("lags", "level", "shift", "YEAR")} == set(one)
    assert {name for name in one if one[name] != other[name]} == {name.format(module=module) for name in changed}


def test_what_has_no_source_has_no_parts_and_packages_of_the_estimator_are_told():
    assert code_of(len) == {}
    versions = packages_of()
    assert versions["numpy"] == np.__version__
    assert {"python", "scikit-learn", "scipy", "pandas", "mlops-assets"} <= set(versions)

    class Boosted:
        def fit(self, X, y):
            return self

    Boosted.__module__ = "pytest.boosting"
    assert packages_of(Boosted())["pytest"] == pytest.__version__


def test_estimator_that_lacks_what_a_search_found_then_is_named_with_it():
    def without_alpha():
        from sklearn.linear_model import LinearRegression

        return LinearRegression()

    X = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    with pytest.raises(TrainingError, match=r"'alpha'.*which the search chose: .*no parameter 'alpha'"):
        refit(without_alpha, {}, {"alpha": 0.5}, X, X["x"], "regression", 0)
