"""`where` picks rows by equality, whatever type a file gave to the column."""

import pandas as pd
import pytest

from mlops_assets.checks import CheckOutcome
from mlops_assets.errors import SourceError
from mlops_assets.validation.where import rows_of, with_where

ROWS = pd.DataFrame(
    {
        "shop": [1, 2, 3, 2],
        "share": [0.5, None, 2.0, 2.0],
        "code": ["1", "02", "2", None],
        "open": [True, False, True, False],
        "day": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03"]),
        "mixed": pd.Series([1, "1", "x", None], dtype=object),
        "empty": [None, None, None, None],
        "big": [2**60, 2**60 + 1, 5, 6],
    }
)


@pytest.mark.parametrize(
    "where, rows",
    [
        ({}, [0, 1, 2, 3]),
        ({"shop": 2}, [1, 3]),
        ({"shop": "2"}, [1, 3]),
        ({"shop": 2.0}, [1, 3]),
        ({"shop": "two"}, []),
        ({"shop": [1, "3"]}, [0, 2]),
        ({"share": 2}, [2, 3]),
        ({"share": "2.0"}, [2, 3]),
        ({"share": [float("nan"), 0.5]}, [0]),
        ({"share": "nan"}, []),
        ({"code": 1}, [0]),
        ({"code": "2"}, [2]),
        ({"code": "02"}, [1]),
        ({"code": "None"}, []),
        ({"open": True}, [0, 2]),
        ({"open": "false"}, [1, 3]),
        ({"open": 1}, [0, 2]),
        ({"day": "2024-01-02"}, [1, 2]),
        ({"day": "2024-01-02T00:00:00Z"}, [1, 2]),
        ({"day": "never"}, []),
        ({"mixed": 1}, [0, 1]),
        ({"mixed": "x"}, [2]),
        ({"empty": "x"}, []),
        ({"big": 2**60}, [0]),
        ({"big": str(2**60 + 1)}, [1]),
        ({"shop": 2, "open": False, "code": "02"}, [1]),
        ({"code": "1' OR '1'='1"}, []),
        ({"code": "@shop > 0"}, []),
    ],
)
def test_rows_with_the_declared_values_are_the_models(where, rows):
    picked = rows_of(ROWS.assign(row=range(4)), where)
    assert list(picked["row"]) == rows
    assert list(picked.index) == list(range(len(rows)))


def test_column_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(
        SourceError, match=r"where: no column 'region' \(columns: 'shop', 'share', 'code', 'open', 'day'"
    ):
        rows_of(ROWS, {"region": "north"})


def test_outcome_of_row_count_says_which_rows_were_counted():
    outcomes = [CheckOutcome("row_count", False, "0 rows; expected at least 1"), CheckOutcome("finite", True, "fine")]
    said = with_where(outcomes, {"region": ["north", "south"], "year": 2024})
    assert [outcome.message for outcome in said] == [
        "0 rows; expected at least 1 where region is 'north' or 'south', year is 2024",
        "fine",
    ]
    assert with_where(outcomes, {}) == outcomes
