import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from mlops_assets.decisions.promotion.gates import leakage
from mlops_assets.decisions.promotion.leakage import telling_features

DATA = Path(os.environ.get("MLOPS_TEST_DATA", Path(__file__).parents[4] / "shared" / "data")) / "bike_hourly"
DRAW = np.random.default_rng(0)
ROWS = 3_000
X = pd.DataFrame({name: DRAW.gamma(2.0, 1.0, ROWS) for name in "abcdef"})


def suspicions(X, y):
    return telling_features(X, y, "regression")


@pytest.mark.fault(14)
@pytest.mark.parametrize(
    ("target", "parts"),
    [
        (X["b"] + X["e"], "b + e"),
        (3 * X["a"] - X["c"] / 7 + X["f"] + 100, "a + c + f"),
        (X["b"] + X["e"] + DRAW.normal(0, 0.005, ROWS), "b + e"),
        (X["a"] * X["d"], "a + d"),
        (X["a"] / X["d"], "a + d"),
    ],
)
def test_parts_of_the_target_are_found_and_no_others_named(target, parts):
    assert [each.feature for each in suspicions(X, target)] == [parts]
    outcome = leakage(X.assign(text="x"), target, "regression")
    assert not outcome.passed and outcome.stops
    assert outcome.message.startswith(f"'{parts}' (r2 of ")


def test_parts_with_gaps_among_columns_that_are_mostly_empty_are_found():
    gaps = X.mask(DRAW.uniform(size=X.shape) < 0.1).assign(empty=np.nan, rare=X["a"].where(X.index % 10 == 0))
    assert [each.feature for each in suspicions(gaps, X["b"] + X["e"])] == ["b + e"]


def test_a_column_of_huge_values_hides_no_parts_of_the_target():
    assert [each.feature for each in suspicions(X.assign(a=X["a"] * 1e250), X["b"] + X["e"])] == ["b + e"]


def test_what_tells_alone_is_named_alone():
    assert [each.feature for each in suspicions(X.assign(copy=X["a"] + X["b"]), X["a"] + X["b"])] == ["copy", "a + b"]
    assert [each.feature for each in suspicions(X.assign(copy=X["a"] * 2), X["a"])] == ["a", "copy"]


def test_strong_honest_features_raise_no_suspicion():
    level = np.cumsum(DRAW.normal(0.1, 1.0, ROWS + 5))
    lags = pd.DataFrame({f"lag {lag}": level[5 - lag : ROWS + 5 - lag] for lag in (1, 2, 3)})
    y = pd.Series(level[5:])
    assert max(np.corrcoef(lags["lag 1"], y)[0, 1] ** 2, 0) > 0.999
    assert suspicions(lags, y) == []
    assert suspicions(X, X["a"] + X["b"] + DRAW.normal(0, 0.1, ROWS)) == []
    wide = pd.DataFrame(DRAW.normal(size=(100, 99))).rename(columns=str)  # as many columns as rows fit anything
    assert suspicions(wide, pd.Series(DRAW.normal(size=100))) == []


def test_a_forecast_from_lags_is_no_leak():
    from statsmodels.datasets import co2

    weekly = co2.load_pandas().data["co2"].ffill()
    lags = pd.DataFrame({f"lag {lag}": weekly.shift(lag) for lag in (1, 2, 52, 53, 104)})[104:].reset_index(drop=True)
    assert suspicions(lags, weekly[104:].reset_index(drop=True)) == []


@pytest.mark.skipif(not DATA.exists(), reason="needs the bike data")
def test_casual_and_registered_add_up_to_all_rentals():
    hours = pd.read_csv(DATA / "hour.csv.gz")
    X, y = hours.drop(columns=["cnt", "dteday", "instant"]), hours["cnt"]
    assert [each.feature for each in suspicions(X, y)] == ["casual + registered"]
    assert [each.feature for each in suspicions(X[:700], y[:700])] == ["casual + registered"]
    assert suspicions(X.drop(columns="casual"), y) == []


def test_the_score_of_a_binary_target_is_the_area_under_the_curve():
    y = pd.Series(DRAW.random(ROWS) < 0.2)
    hint = 5 * y + DRAW.normal(size=ROWS)
    (found,) = telling_features(X.assign(hint=hint), y, "binary")
    assert (found.feature, found.measure) == ("hint", "AUC")
    assert found.score == pytest.approx(roc_auc_score(y, hint), rel=1e-9)


def test_two_looks_at_the_same_rows_find_the_same():
    target = X["b"] + X["e"] + DRAW.normal(0, 0.005, ROWS)
    assert suspicions(X, target) == suspicions(X, target)
