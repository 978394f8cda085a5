import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mlops_assets.modelling.feature_worth.correlations import associations, correlated_groups

DRAW = np.random.default_rng(0)
ROWS = 2_000
BASE = DRAW.normal(size=ROWS)
COLOUR = DRAW.choice(["red", "green", "blue"], ROWS)
X = pd.DataFrame(
    {
        "kelvin": BASE,
        "noise": DRAW.normal(size=ROWS),
        "celsius": np.exp(BASE),
        "colour": COLOUR,
        "code": pd.Series(COLOUR).map({"red": 1.0, "green": 7.0, "blue": 3.0}),
        "farbe": pd.Series(COLOUR).map({"red": "rot", "green": "gruen", "blue": "blau"}),
        "site": DRAW.choice(list("abcd"), ROWS),
    }
)


def test_what_says_the_same_is_a_group_whatever_its_type():
    assert correlated_groups(X) == [["kelvin", "celsius"], ["colour", "code", "farbe"]]
    assert correlated_groups(X[["noise"]]) == [] and correlated_groups(X[["noise", "site", "kelvin"]]) == []


def test_a_chain_of_neighbours_is_no_group():
    steps = [BASE]
    for noise in (0.2, 0.4, 0.2):
        steps.append(steps[-1] + DRAW.normal(0, noise * np.std(steps[-1]), ROWS))
    chain = pd.DataFrame(np.column_stack(steps), columns=list("abcd"))
    found = associations(chain)
    assert min(found.loc["a", "b"], found.loc["b", "c"], found.loc["c", "d"]) > 0.9 > found.loc["a", "d"]
    assert correlated_groups(chain) == [["a", "b"], ["c", "d"]]


def test_associations_are_those_of_the_textbook_and_none_by_chance():
    weak = X.assign(weak=BASE + 2 * DRAW.normal(size=ROWS))
    found = associations(weak)
    assert found.loc["weak", "kelvin"] == pytest.approx(abs(stats.spearmanr(weak["weak"], BASE).statistic))
    for one, other in (("noise", "site"), ("site", "colour"), ("colour", "kelvin")):
        assert found.loc[one, other] < 0.08
    many = pd.DataFrame({"id": [f"u{row % 90}" for row in range(ROWS)], "other": DRAW.choice(list("xyz"), ROWS)})
    assert associations(many).loc["id", "other"] < 0.15  # V with its bias is 0.21


def test_gaps_and_constants_do_no_harm():
    gaps = X.assign(kelvin=X["kelvin"].mask(X.index % 10 == 0), constant=1, empty=np.nan, none=pd.Series([None] * ROWS))
    found = associations(gaps)
    assert np.isfinite(found.to_numpy()).all()
    assert correlated_groups(gaps)[0] == ["kelvin", "celsius"]
