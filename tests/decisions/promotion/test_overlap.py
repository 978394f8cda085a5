import numpy as np
import pandas as pd
import pytest

from mlops_assets.decisions.promotion.overlap import no_overlap, overlap

DRAW = np.random.default_rng(0)


def continuous(count):
    return pd.DataFrame(
        {"x": DRAW.normal(size=count), "kind": DRAW.choice(list("abc"), count), "y": DRAW.normal(size=count)}
    )


def discrete(count, columns=8):
    return pd.DataFrame(DRAW.integers(0, 4, (count, columns))).rename(columns="c{}".format)


def bookings(days, a_day=40):
    """Rows that repeat within their day, as those of groups that travel together do, and hardly ever later."""
    of_day = [discrete(a_day // 4, 12).sample(a_day, replace=True, random_state=day) for day in range(days)]
    return pd.concat(of_day, ignore_index=True)


@pytest.mark.fault(11)
def test_planted_copies_are_counted_and_shown():
    train, holdout = continuous(1_000), continuous(200)
    holdout.iloc[[3, 50, 51, 120]] = train.iloc[[7, 800, 801, 12]].to_numpy()
    outcome = no_overlap(train, holdout)
    assert not outcome.passed and (outcome.severity, outcome.blocking) == ("warn", False)
    assert outcome.message.startswith("4 of 200 holdout rows (2.0%) equal a training row in features and target")
    assert outcome.metadata["rows"] == 4 and outcome.metadata["expected_share"] == 0.0
    assert [row["holdout row"] for row in outcome.metadata["examples"]] == [3, 50, 51, 120]


def test_the_same_features_with_another_label_are_no_copy():
    train, holdout = continuous(1_000), continuous(200)
    assert no_overlap(train, train[:200].assign(y=holdout["y"])).passed
    assert no_overlap(train, holdout).message.startswith("0 of 200")


@pytest.mark.parametrize("columns", [2, 5, 7, 8])
def test_twins_of_discrete_rows_are_expected(columns):
    alarms = 0
    for _ in range(40):
        rows = discrete(2_000, columns)
        alarms += not no_overlap(rows[:1_600], rows[1_600:]).passed
    assert alarms <= 1  # at most 1% of such draws; of 500 with 8 columns it was 4


def test_twins_that_lie_close_in_time_are_no_excuse_for_copies():
    rows = bookings(60)
    train, holdout = rows[:2_000], rows[2_000:].reset_index(drop=True)
    assert train.duplicated(keep=False).mean() > 0.8
    honest = overlap(train, holdout)
    assert not honest.suspicious and honest.expected < 0.02 * len(holdout)
    assert not no_overlap(train, pd.concat([holdout[20:], train[:20]])).passed


def test_types_and_gaps_make_no_difference():
    train = continuous(500).assign(count=range(500), gap=np.nan, day=pd.Timestamp("2024-01-01"))
    copies = train[:50].astype({"count": float, "kind": "category"}).assign(gap=None)
    assert len(overlap(train, copies).twins) == 50
    assert len(overlap(train, copies[list(reversed(copies.columns))]).twins) == 50


def test_few_rows_are_no_evidence():
    train, holdout = continuous(100), continuous(30)
    holdout.iloc[:2] = train.iloc[:2].to_numpy()
    assert no_overlap(train, holdout).passed
    assert len(overlap(train[:1], holdout).twins) == 1


def test_at_most_five_copies_are_shown_with_the_shares():
    train = continuous(500)
    holdout = pd.concat([continuous(93), train[:7]])
    assert no_overlap(train, holdout).metadata == {
        "rows": 7,
        "share": 0.07,
        "expected_share": 0.0,
        "examples": [{"holdout row": position} for position in range(93, 98)],
    }
    assert no_overlap(train, train[:1]).message.startswith("1 of 1 holdout rows (100.0%)")
    nothing = no_overlap(train, train[:0])
    assert nothing.passed and nothing.metadata == {"rows": 0, "share": 0.0, "expected_share": 0.0}
