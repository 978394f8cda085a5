"""Kinds survive the accidents of reading files, and normalising never loses a value."""

import decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_assets.validation.schema import Schema, kind_of, normalise


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pd.Series([1, 2]), "number"),
        (pd.Series([1, None], dtype="Int64"), "number"),
        (pd.Series([decimal.Decimal("1.5")]), "number"),
        (pd.Series([1, 2.5], dtype=object), "number"),
        (pd.Series([True, None]), "boolean"),
        (pd.Series(["a", None]), "text"),
        (pd.Series(["a"], dtype="category"), "text"),
        (pd.to_datetime(pd.Series(["2024-01-01"], dtype=object), utc=True), "time"),
        (pd.Series([None, np.nan]), "null"),
        (pd.Series([], dtype="float64"), "null"),
        (pd.Series([1, "a"]), "mixed"),
        (pd.Series([b"a"]), "mixed"),
        (pd.Series([[1], {}]), "mixed"),
        (pd.Series([1j]), "mixed"),
    ],
)
def test_kind_of(values, kind):
    assert kind_of(values) == kind


def test_merging_fills_in_unknown_kinds_only():
    merged = Schema({"a": "null", "b": "text"}).merged(Schema({"a": "number", "b": "number", "c": "text"}))
    assert merged == Schema({"a": "number", "b": "text"})


def test_normalise_reads_numbers_and_leaves_text_alone():
    schema = Schema({"a": "number", "b": "number", "c": "number", "d": "text"})
    frame = pd.DataFrame({"a": ["1", None, "2.5"], "b": ["1", "x", "3"], "c": [None] * 3, "d": ["1", "2", "3"]})
    result = normalise(frame, schema)
    assert result["a"].dtype == result["c"].dtype == "float64"
    assert result["a"].tolist()[::2] == [1.0, 2.5]
    assert result["b"].tolist() == ["1", "x", "3"] and result["d"].tolist() == ["1", "2", "3"]
    assert normalise(frame, None) is frame
    assert normalise(pd.DataFrame({"a": [1, 2]}), schema)["a"].dtype == "int64"


@given(st.lists(st.one_of(st.none(), st.text(max_size=5), st.floats(), st.integers(), st.booleans()), max_size=6))
def test_normalise_keeps_every_value_that_is_there(values):
    frame = pd.DataFrame({"a": pd.Series(values, dtype=object)})
    assert normalise(frame, Schema({"a": "number"}))["a"].notna().tolist() == frame["a"].notna().tolist()
