import numpy as np
import pandas as pd
import pytest

from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion.gates import (
    agrees,
    all_pass,
    beats_baseline,
    latency,
    leakage,
    loads_back,
    only_of_the_moment,
    quality,
    size,
)

NAN, INF = float("nan"), float("inf")
DRAW = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("same", "rows", "passed"), [(True, 9, True), (True, 1, True), (False, 9, False), (True, 0, False)]
)
def test_loads_back(same, rows, passed):
    assert loads_back(same, rows).passed is passed


@pytest.mark.promise(1)
@pytest.mark.fault(10, 45)
@pytest.mark.parametrize("bad", [NAN, INF])
def test_what_is_not_finite_never_passes(bad):
    outcomes = [
        loads_back(False, 9),
        latency(bad, 1.0),
        latency(1.0, bad),
        beats_baseline(bad, {"dummy": 1.0}, ["dummy"], "rmse", False),
        beats_baseline(bad, {}, [], "r2", True),
        beats_baseline(1.0, {"dummy": bad}, ["dummy"], "r2", True),
        quality({"rmse": bad}, {}, {}),
        agrees(bad, 1.0, 1.0, 9),
        agrees(1.0, bad, 1.0, 9),
    ]
    assert not any(outcome.passed for outcome in outcomes)
    assert all(outcome.stops for outcome in outcomes)


def test_latency():
    assert latency(9.0, 99.0, 10.0, 100.0).passed
    assert latency(9.0, 99.0, 10.0, 50.0).message == "1,000 rows: 99.0 ms; expected at most 50 ms"


def test_a_refit_may_lie_as_far_from_the_judged_version_as_that_from_the_labels():
    assert agrees(0.5, 0.5, 3.0, 90).message == (
        "the refit is 0.5 from the judged version on 90 holdout rows, whose own error is 0.5"
    )
    far = agrees(0.6, 0.5, 3.0, 90)
    assert far.stops and far.message.endswith("; expected at most 0.5")
    assert agrees(0.02, 1e-9, 2.0, 90).passed and not agrees(0.03, 1e-9, 2.0, 90).passed
    assert not agrees(0.0, 0.5, 3.0, 0).passed


def test_size():
    assert size(2_500_000, max_mb=2.5).message == "2.5 MB"
    big = size(2_600_000, max_mb=2.5)
    assert (big.passed, big.message) == (False, "2.6 MB; expected at most 2.5 MB")


def test_the_baselines_that_are_required_must_be_beaten_strictly():
    scores = {"dummy": 2.0, "linear": 1.0}
    assert beats_baseline(1.5, scores, ["dummy"], "rmse", False).message == "rmse 1.5 is better than dummy 2"
    assert beats_baseline(1.5, scores, ["dummy", "linear"], "rmse", False).message == (
        "rmse 1.5 is no better than 1 of 'linear'"
    )
    assert not beats_baseline(2.0, scores, ["dummy"], "r2", True).passed
    assert beats_baseline(2.1, scores, ["dummy"], "r2", True).passed
    assert not beats_baseline(2.0, scores, ["dummy"], "rmse", False).passed
    assert beats_baseline(1.5, scores, ["last"], "rmse", False).message == "baseline 'last' has no rmse"


def test_quality_keeps_its_bounds():
    assert quality({"r2": 0.5, "rmse": 3.0}, {"r2": 0.5}, {"rmse": 3.0}).passed
    assert quality({"r2": 0.4}, {"r2": 0.5}, {}).message == "r2 is 0.4; expected at least 0.5"
    assert quality({"r2": 0.4}, {}, {"rmse": 3.0}).message == "rmse was not measured; expected at most 3"
    assert not quality({}, {}, {}).passed


@pytest.mark.promise(1)
@pytest.mark.fault(57)
def test_all_pass_counts_what_is_missing_as_failed():
    good, bad = CheckOutcome("a", True, "fine"), CheckOutcome("b", False, "poor")
    warned = CheckOutcome("c", False, "odd", severity="warn")
    assert all_pass(["a"], [good, warned]).passed
    assert all_pass(["a", "c"], [good, warned]).message == "c: odd"
    assert all_pass(["a", "z"], [good]).message == "z: was not evaluated"
    assert all_pass(["a"], [good, bad]).message == "b: poor"
    assert not all_pass(["a"], [good, CheckOutcome("a", False, "again")]).passed
    assert not all_pass([], [good]).passed


def features(rows=2_000):
    return pd.DataFrame(
        {
            "size": DRAW.normal(size=rows),
            "kind": DRAW.choice(list("abc"), rows),
            "identity": [f"id-{row}" for row in range(rows)],
            "constant": 1,
        }
    )


def test_honest_features_raise_no_suspicion():
    X = features()
    number, noise = X["size"], DRAW.normal(size=len(X))
    assert leakage(X, number + noise, "regression").passed
    assert leakage(X, pd.Series(np.where(number + noise > 0, "yes", "no")), "binary").passed
    assert leakage(X, pd.cut(number + noise, 3, labels=list("xyz")).astype(str), "multiclass").passed


@pytest.mark.fault(14)
@pytest.mark.parametrize(
    ("target", "problem", "leak"),
    [
        (lambda X: X["size"], "regression", lambda y: 3 - 2 * y),
        (lambda X: X["size"], "regression", lambda y: np.exp(5 * y)),
        (lambda X: X["size"], "regression", lambda y: y + DRAW.normal(0, 0.001, len(y))),
        (lambda X: X["size"] > 0, "binary", lambda y: -1.0 * y),
        (lambda X: X["size"] > 0, "binary", lambda y: y + DRAW.normal(0, 0.1, len(y))),
        (lambda X: X["size"] > 0, "binary", lambda y: np.where(y, "Canceled", "Out")),
        (lambda X: X["size"] > 0, "binary", lambda y: np.where(y, 1.0, np.nan)),
        (lambda X: X["kind"], "multiclass", lambda y: y.map({"a": 5, "b": 1, "c": 9})),
        (lambda X: X["kind"], "multiclass", lambda y: y.map({"a": "p", "b": "q", "c": "r"})),
    ],
)
def test_a_copy_of_the_target_is_found(target, problem, leak):
    X = features()
    y = target(X)
    outcome = leakage(X[["kind", "identity"] if problem != "multiclass" else ["size"]].assign(leak=leak(y)), y, problem)
    assert not outcome.passed
    assert outcome.message.startswith("'leak' (")
    assert [row["feature"] for row in outcome.metadata["suspicious"]] == ["leak"]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([latency(141.0, 99.0, 100.0), size(1, 500.0)], True),
        ([latency(141.0, 99.0, 100.0), size(600_000_000, 500.0)], False),
        ([latency(9.0, 99.0, 100.0), size(600_000_000, 500.0)], False),
        ([latency(9.0, 99.0, 100.0)], False),
        ([], False),
    ],
)
def test_only_latency_by_itself_is_of_the_moment(outcomes, expected):
    assert only_of_the_moment(outcomes) is expected


def test_each_gate_has_its_name_and_shows_what_it_measured():
    measured = [
        loads_back(True, 9),
        latency(9.0, INF, 10.0),
        size(2_500_000, 500.0),
        beats_baseline(1.5, {"dummy": 2.0, "last": NAN}, ["dummy"], "rmse", False),
        quality({"r2": 0.5, "rmse": NAN}, {}, {}),
        agrees(0.6, 0.5, 3.0, 90),
    ]
    assert {each.name: each.metadata for each in measured} == {
        "loads_back": {"rows": 9},
        "latency": {"per_row_ms": 9.0, "per_1000_rows_ms": None},
        "size": {"megabytes": 2.5},
        "beats_baseline": {
            "scores": [{"who": "challenger", "rmse": 1.5}, {"who": "dummy", "rmse": 2.0}, {"who": "last", "rmse": None}]
        },
        "quality": {"r2": 0.5, "rmse": None},
        "agrees": {"apart": 0.6, "limit": 0.5, "rows": 90},
    }
    assert loads_back(True, 0).metadata == {"rows": 0}


def test_all_gates_together_show_each():
    together = all_pass(["a"], [CheckOutcome("a", True, "fine"), CheckOutcome("b", False, "poor")])
    assert together.name == "all_gates"
    assert together.metadata == {
        "gates": [
            {"gate": "a", "passed": True, "result": "fine"},
            {"gate": "b", "passed": False, "result": "poor"},
        ]
    }
