"""Inferred suites hold for what they were inferred from, block little, and are written once and whole."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.errors import ExpectationsError
from mlops_assets.validation.suites import infer, load_suite, write_suite


def frames(count=3, rows=100, seed=0):
    rng = np.random.default_rng(seed)
    return [
        pd.DataFrame(
            {
                "id": np.arange(rows) + part * rows,
                "day": pd.date_range("2024-01-01", periods=rows),
                "price": rng.normal(100, 10, rows).round(2),
                "month": 1,
                "gaps": np.where(rng.random(rows) < 0.3, np.nan, 1.5),
                "color": rng.choice(["red", "blue", "ñ: [x]"], rows),
                "free": [f"text {i} {part}" for i in range(rows)],
                "empty": None,
                "y": rng.random(rows),
            }
        )
        for part in range(count)
    ]


def by_column(expectations):
    found: dict[str, list] = {}
    for item in expectations:
        found.setdefault(item["kwargs"].get("column", ""), []).append(item)
    return found


def test_what_is_inferred_of_each_kind():
    found = by_column(infer(frames(), target="y", key=["id"], time="day"))
    assert set(found) == {"", "price", "month", "gaps", "color", "free", "y"}
    assert found[""][0]["kwargs"] == {"min_value": 20, "max_value": 500}
    hard, soft, present = found["price"]
    assert hard["meta"]["severity"] == "error" and soft["meta"]["severity"] == "warn"
    assert hard["kwargs"]["min_value"] < 0 < soft["kwargs"]["min_value"] < 72
    assert 128 < soft["kwargs"]["max_value"] < 200 < 1_000 < hard["kwargs"]["max_value"] < 2_000
    assert present["kwargs"] == {"column": "price", "mostly": 0.5}
    # Batches of January must not reject December, nor those of January and February.
    assert [item["meta"]["severity"] for item in found["month"]] == ["warn", "error"]
    (winter, *_) = infer([pd.DataFrame({"month": [1, 2]})], target=None)
    assert winter["meta"]["severity"] == "error" and winter["kwargs"]["max_value"] == 22.0
    assert found["color"][0]["kwargs"]["value_set"] == ["blue", "red", "ñ: [x]"]
    assert found["color"][0]["meta"]["severity"] == "warn"
    assert found["gaps"][-1]["meta"]["severity"] == "warn" and 0.4 < found["gaps"][-1]["kwargs"]["mostly"] < 0.6
    assert [item["meta"]["severity"] for item in found["y"]] == ["warn"]
    assert [item["type"] for item in found["free"]] == ["expect_column_values_to_not_be_null"]


def test_nothing_to_infer_from_is_an_error():
    with pytest.raises(ExpectationsError, match="expected at least one batch with rows"):
        infer([pd.DataFrame({"a": []})], target=None)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=30))
def test_limits_enclose_the_values_they_came_from(values):
    column = pd.Series(values, dtype=float)
    for item in infer([pd.DataFrame({"a": column})], target=None):
        if item["type"] == "expect_column_values_to_be_between":
            held = column.dropna().between(item["kwargs"]["min_value"], item["kwargs"]["max_value"]).mean()
            assert held >= item["kwargs"].get("mostly", 1.0)


def test_a_suite_is_written_whole_readable_and_only_once(tmp_path):
    path = tmp_path / "defs" / "expectations.yaml"
    inferred = infer(frames(), target="y", key=["id"], time="day")
    assert write_suite(path, "bike\ndemand", inferred) == path
    text = path.read_text()
    assert text.startswith("# Expectations of bike demand, inferred") and "*id0" not in text
    loaded = load_suite(path)
    assert [item.type for item in loaded] == [item["type"] for item in inferred]
    assert [item.kwargs for item in loaded] == [item["kwargs"] for item in inferred]
    with pytest.raises(ExpectationsError, match="exists and is never overwritten"):
        write_suite(path, "other", [])
    assert path.read_text() == text and [part.name for part in path.parent.iterdir()] == [path.name]
