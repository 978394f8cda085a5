"""Expectations on a batch on disk: the same outcomes as Great Expectations gives for the frame in memory."""

import numpy as np
import pandas as pd
import pytest

from mlops_assets import disk_frame
from mlops_assets.disk_frame import DiskFrame
from mlops_assets.resources import GreatExpectations, large_expectations
from mlops_assets.validation import repeated
from mlops_assets.validation.suites import from_objects

ROWS = 400


@pytest.fixture(autouse=True)
def few_rows_at_once(monkeypatch):
    monkeypatch.setattr(disk_frame, "ROWS_AT_ONCE", 30)
    monkeypatch.setattr(large_expectations, "ROWS_AT_ONCE", 150)
    monkeypatch.setattr(repeated, "MANY_ROWS", 10)


def batch(seed):
    random = np.random.default_rng(seed)
    gaps = random.random((ROWS, 3)) < (0.0, 0.2, 0.9)[seed % 3]
    texts = random.choice(["red", "blue", "green", "1a", "2024-01-01", "{}"], ROWS)
    frame = pd.DataFrame(
        {
            "n": random.normal(size=ROWS),
            "i": random.integers(0, 300, ROWS),
            "t": pd.Series(texts).astype("str"),
            "b": random.random(ROWS) < 0.5,
            "m": pd.date_range("2024-01-01", periods=ROWS, freq="h", unit="us"),
            "key": np.arange(ROWS),
        }
    )
    frame.loc[gaps[:, 0], "n"] = np.nan
    frame.loc[gaps[:, 1], "t"] = np.nan
    frame["b"] = frame["b"].astype(object).where(~gaps[:, 2], np.nan) if seed % 3 else frame["b"]
    frame.loc[: ROWS // 3, "n"] = np.nan if seed % 4 == 1 else frame["n"]  # some chunks without a value
    frame.loc[7, "key"] = 393 if seed % 2 else 7
    return frame


def of(kind, **kwargs):
    return {"type": f"expect_{kind}", "kwargs": kwargs}


CONDITION = {"type": "comparison", "column": {"name": "i"}, "operator": "<", "parameter": 40}
QUANTILES = {"quantiles": [0.1, 0.9], "value_ranges": [[-2, 0], [0, 1]]}
SUITE = [
    of("column_values_to_be_between", column="n", min_value=-2, max_value=2),
    of("column_values_to_be_between", column="n", min_value=-1, max_value=1, mostly=0.6),
    of("column_values_to_be_between", column="n", min_value=-1, max_value=1, mostly=0.9),
    of("column_values_to_be_between", column="m", min_value="2024-01-03", max_value="2024-01-05"),
    of("column_values_to_be_between", column="n", min_value=-2, row_condition=CONDITION, condition_parser="pandas"),
    of("column_values_to_be_in_set", column="t", value_set=["red", "blue"], mostly=0.3),
    of("column_values_to_not_be_in_set", column="t", value_set=["red"]),
    of("column_values_to_be_in_set", column="b", value_set=[True]),
    of("column_values_to_not_be_null", column="n"),
    of("column_values_to_not_be_null", column="t", mostly=0.8),
    of("column_values_to_be_null", column="b", mostly=0.1),
    of("column_values_to_match_regex", column="t", regex="^[a-z]+$"),
    of("column_values_to_not_match_regex", column="t", regex="^r"),
    of("column_values_to_match_regex_list", column="t", regex_list=["^r", "^b"]),
    of("column_value_lengths_to_be_between", column="t", min_value=3, max_value=4, mostly=0.5),
    of("column_values_to_match_strftime_format", column="t", strftime_format="%Y-%m-%d"),
    of("column_values_to_be_json_parseable", column="t"),
    of("column_values_to_be_of_type", column="n", type_="float64"),
    of("column_values_to_be_of_type", column="b", type_="bool"),
    of("column_values_to_be_in_type_list", column="i", type_list=["int64", "float64"]),
    of("column_values_to_be_unique", column="key"),
    of("column_values_to_be_unique", column="n"),
    of("column_values_to_be_unique", column="t"),
    of("column_values_to_be_unique", column="i", mostly=0.2),
    of("compound_columns_to_be_unique", column_list=["i", "key"]),
    of("compound_columns_to_be_unique", column_list=["i", "t"]),
    of("compound_columns_to_be_unique", column_list=["n", "t"], ignore_row_if="any_value_is_missing"),
    of("compound_columns_to_be_unique", column_list=["n", "t"], ignore_row_if="never"),
    of("select_column_values_to_be_unique_within_record", column_list=["i", "key"]),
    of("column_pair_values_a_to_be_greater_than_b", column_A="i", column_B="key", or_equal=True),
    of("column_pair_values_to_be_equal", column_A="i", column_B="key"),
    of("multicolumn_sum_to_equal", column_list=["i", "key"], sum_total=300),
    of("column_min_to_be_between", column="n", min_value=-9),
    of("column_max_to_be_between", column="i", max_value=250),
    of("column_max_to_be_between", column="m", max_value="2024-01-09"),
    of("column_mean_to_be_between", column="n", min_value=0.01),
    of("column_sum_to_be_between", column="i", min_value=1e6),
    of("column_stdev_to_be_between", column="n", min_value=0.5, max_value=2),
    of("column_median_to_be_between", column="n", min_value=0),
    of("column_quantile_values_to_be_between", column="n", quantile_ranges=QUANTILES),
    of("column_unique_value_count_to_be_between", column="i", max_value=50),
    of("column_proportion_of_unique_values_to_be_between", column="t", max_value=0.1),
    of("column_distinct_values_to_be_in_set", column="t", value_set=["red", "blue"]),
    of("column_distinct_values_to_contain_set", column="t", value_set=["red", "pink"]),
    of("column_most_common_value_to_be_in_set", column="b", value_set=[True]),
    of("column_value_z_scores_to_be_less_than", column="n", threshold=2, double_sided=True),
    of("column_values_to_be_increasing", column="key"),
    of("column_values_to_be_increasing", column="n"),
    of("table_row_count_to_be_between", min_value=1, max_value=10),
    of("table_row_count_to_equal", value=ROWS),
    of("table_column_count_to_equal", value=6),
    of("table_columns_to_match_set", column_set=["n", "i", "t", "b", "m", "key"]),
    of("table_columns_to_match_ordered_list", column_list=["n", "i"]),
    of("column_to_exist", column="missing"),
    of("column_values_to_not_be_null", column="missing"),
    of("column_max_to_be_between", column="missing", max_value=1),
]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2, 5])
def test_outcomes_are_those_of_the_frame_in_memory(seed):
    frame, suite = batch(seed), from_objects(SUITE)
    on_disk = DiskFrame.of_chunks([frame[:170], frame[170:]])
    pd.testing.assert_frame_equal(on_disk[list(on_disk.columns)], frame)
    judge = GreatExpectations()
    for outcome, expected in zip(judge.validate(on_disk, suite), judge.validate(frame, suite), strict=True):
        assert outcome == expected


def test_an_expectation_that_cannot_be_evaluated_fails_with_its_reason():
    suite = from_objects([of("column_values_to_be_between", column="t", min_value=0)])
    (outcome,) = GreatExpectations().validate(DiskFrame.of_chunks([batch(0)]), suite)
    assert outcome == GreatExpectations().validate(batch(0), suite)[0]
    assert not outcome.passed and "could not be evaluated" in outcome.message


def test_a_column_that_is_too_large_is_judged_on_a_sample_that_says_so(monkeypatch):
    monkeypatch.setattr(large_expectations, "VALUES_AT_ONCE", 300)
    monkeypatch.setattr(large_expectations, "SAMPLE", 200)
    suite = from_objects(
        [
            of("column_median_to_be_between", column="i", min_value=100, max_value=200),
            of("column_values_to_be_increasing", column="key"),
            of("column_values_to_be_unique", column="key"),
        ]
    )
    median, order, unique = GreatExpectations().validate(DiskFrame.of_chunks([batch(0)]), suite)
    assert median.passed
    assert "random sample of 200 of 400 rows: shares and quantiles are exact to 11.51" in median.message
    assert not order.passed and "needs whole columns" in order.message
    assert unique.passed
