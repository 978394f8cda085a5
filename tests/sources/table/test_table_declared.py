"""What a table may be declared as, and the keys of its batches."""

import datetime as dt
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_assets.errors import DeclarationError
from mlops_assets.sources import Table
from mlops_assets.sources.keys import is_safe
from mlops_assets.sources.table.keys import key_span, span_key
from mlops_assets.text import natural_order

URL = "sqlite:///shop.db"


@pytest.mark.parametrize(
    "declared, says",
    [
        (
            {"url": URL},
            "Table 'orders': it is not declared what a batch is: declare period='day' .* or high_watermark='id'",
        ),
        ({"url": URL, "time": "day"}, "it is not declared what a batch is"),
        ({"high_watermark": "id"}, "Table 'orders': field 'url' is required"),
        ({"url": " ", "high_watermark": "id"}, "Table 'orders': url is empty"),
        ({"url": URL, "query": "SELECT 1 AS id", "high_watermark": "id"}, "both a table and a query; expected one"),
        (
            {"url": URL, "highwatermark": "id"},
            "Table 'orders': has no field 'highwatermark'; did you mean",
        ),
        ({"url": URL, "period": "hour"}, "Table 'orders': period: Input should be 'day', 'week', 'month', 'quarter'"),
    ],
)
def test_a_wrong_declaration_is_told(declared, says):
    with pytest.raises(DeclarationError, match=says):
        Table("orders", **declared)


@pytest.mark.parametrize("name", ["", ".orders", "a.b.c", "a\0b", " "])
def test_a_name_that_is_no_table_is_told(name):
    with pytest.raises(DeclarationError, match=r"is not the name of a table; expected 'orders' or 'schema\.orders'"):
        Table(name, url=URL, high_watermark="id")
    with pytest.raises(DeclarationError, match="neither a table nor a query; expected one of them"):
        Table(url=URL, high_watermark="id")


def test_it_says_what_a_batch_is():
    assert Table("orders", url=URL, high_watermark="id").describe() == (
        "Table 'orders': all rows whose 'id' is above the batch before are a batch."
    )
    assert Table(url=URL, query="SELECT 1", period="week").with_time("day").describe() == (
        "Table query 'SELECT 1': all rows of one week of 'day' are a batch."
    )


WHOLE = st.integers(0, 2**63 - 1)
MOMENT = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))


@settings(deadline=None)
@given(
    st.one_of(
        st.lists(WHOLE, min_size=2, max_size=9, unique=True), st.lists(MOMENT, min_size=2, max_size=9, unique=True)
    )
)
def test_keys_are_safe_in_natural_order_and_tell_their_rows(values):
    bounds = [None, *sorted(values)]
    spans = list(pairwise(bounds))
    keys = [span_key(span) for span in spans]
    assert [key_span(key) for key in keys] == spans
    assert all(is_safe(key) for key in keys)
    assert sorted(keys, key=natural_order) == keys
