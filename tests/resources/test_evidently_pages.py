"""Evidently's pages are drawn for every kind of label, also where a batch or the holdout lacks a class."""

import numpy as np
import pandas as pd
import pytest

from mlops_assets.resources.evidently_pages import drift_page, performance_page

TWO = {
    "0/1": [0, 1],
    "no/yes": ["no", "yes"],
    "False/True": [False, True],
    "1/2": [1, 2],
    "-1/1": [-1, 1],
    "9/10": [9, 10],
    "hostile": ["<b>", "</script>"],
}
THREE = {"words": ["bad", "fair", "good"], "numbers": [1, 2, 3], "floats": [0.5, 1.5, 2.5]}


def frame(labels, shown=None):
    """60 rows of target and prediction, a quarter of them wrong where there are two labels to choose from."""
    shown = shown or labels
    target = [shown[number % len(shown)] for number in range(60)]
    prediction = [shown[(number + (number % 4 == 0)) % len(shown)] for number in range(60)]
    return pd.DataFrame({"target": target, "prediction": prediction})


def is_page(html):
    return html.lstrip().startswith("<") and "</html>" in html and len(html) > 100_000


def test_page_of_the_labels_0_and_1_counts_1_as_positive():
    side = pd.DataFrame({"target": [0, 1] * 60, "prediction": [0, 1] * 60})
    page = performance_page("binary", side, side, 0)
    assert is_page(page) and "Classification Quality" in page


@pytest.mark.slow
@pytest.mark.parametrize("labels", TWO.values(), ids=TWO)
@pytest.mark.parametrize("lacks", ["neither", "batch", "holdout", "both"])
def test_page_of_two_labels(labels, lacks):
    holdout = frame(labels, labels[:1] if lacks in ("holdout", "both") else None)
    batch = frame(labels, labels[1:] if lacks in ("batch", "both") else None)
    assert is_page(performance_page("binary", holdout, batch, 0))


@pytest.mark.slow
@pytest.mark.parametrize("labels", THREE.values(), ids=THREE)
@pytest.mark.parametrize("in_holdout", [3, 2, 1])
@pytest.mark.parametrize("in_batch", [3, 2, 1])
def test_page_of_three_labels_of_which_some_may_be_absent(labels, in_holdout, in_batch):
    assert is_page(
        performance_page("multiclass", frame(labels, labels[:in_holdout]), frame(labels, labels[-in_batch:]), 0)
    )


@pytest.mark.parametrize(
    "shown", [(["a", "b", "c"], ["a", "b"]), (["a", "b"], ["a", "b", "c"])], ids=["batch", "holdout"]
)
def test_page_where_one_side_shows_two_of_three_labels(shown):
    holdout, batch = shown
    assert is_page(performance_page("multiclass", frame(holdout), frame(batch), 0))


def test_labels_that_look_alike_once_made_safe_stay_two_classes():
    page = performance_page("binary", frame(["<b", ">b"]), frame(["<b", ">b"]), 0)
    assert "_b (0)" in page and "_b (1)" in page


def test_labels_that_a_gap_made_floats_are_those_without():
    holdout, batch = frame([0, 1]), frame([0, 1]).astype({"target": float})
    assert "Classification Quality" in performance_page("binary", holdout, batch, 0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["usual", "constant", "one row", "perfect"])
def test_page_of_a_regression(kind):
    rng = np.random.default_rng(1)
    y = rng.normal(size=60)
    usual = pd.DataFrame({"target": y, "prediction": y + rng.normal(0, 0.1, 60)})
    batch = {
        "usual": usual,
        "constant": usual.assign(target=1.0, prediction=2.0),
        "one row": usual.head(1),
        "perfect": usual.assign(prediction=usual["target"]),
    }[kind]
    assert is_page(performance_page("regression", usual, batch, 0))


@pytest.mark.slow
def test_drift_page_of_columns_of_every_kind_some_without_values():
    rng = np.random.default_rng(2)
    rows = pd.DataFrame(
        {
            "x": rng.normal(size=40),
            "flag": [True, False] * 20,
            "whole": pd.array([1, None] * 20, dtype="Int64"),
            "flag_with_gaps": pd.array([True, None] * 20, dtype="boolean"),
            "word": ["a", None] * 20,
            "kind": pd.Categorical(["u", "v"] * 20),
            "day": pd.date_range("2024-01-01", periods=40),
            "day_in_zone": pd.date_range("2024-01-01", periods=40, tz="UTC"),
            "constant": 1.0,
            "empty": np.nan,
        }
    )
    assert is_page(drift_page(rows, rows.head(7), list(rows.columns), 0))
    assert is_page(drift_page(rows, rows.assign(x=np.nan).head(7), list(rows.columns), 0))


@pytest.mark.slow
@pytest.mark.parametrize("lacks", ["neither", "batch", "reference"])
def test_drift_page_of_labels_of_every_kind(lacks):
    kinds = {f"label {name}": labels for name, labels in (TWO | THREE).items()}
    whole = pd.DataFrame({name: [labels[row % len(labels)] for row in range(60)] for name, labels in kinds.items()})
    short = pd.DataFrame(
        {name: [labels[row % (len(labels) - 1)] for row in range(60)] for name, labels in kinds.items()}
    )
    reference, batch = {"neither": (whole, whole), "batch": (whole, short), "reference": (short, whole)}[lacks]
    assert is_page(drift_page(reference, batch, list(whole.columns), 0))
