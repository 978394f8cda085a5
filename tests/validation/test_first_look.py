"""Hints on a first batch: indexes as features, and numbers that were read as text."""

import numpy as np
import pandas as pd
import pytest

from mlops_assets.validation.first_look import first_look


def hints(**columns: object) -> str:
    frame = pd.DataFrame(columns)
    outcome = first_look(frame, set(frame.columns), set(frame.columns))
    assert (outcome.severity, outcome.blocking) == ("warn", False)
    return "" if outcome.passed else outcome.message


@pytest.mark.parametrize(
    ("name", "values", "told"),
    [
        ("Unnamed: 0", np.arange(40), True),
        ("Unnamed: 0", np.arange(40) * 3 + 5, True),  # rows were left out before they were written
        ("Unnamed: 3", np.arange(40)[::-1], False),
        ("instant", np.arange(1, 41), True),
        ("height", np.arange(40) ** 2, False),
        ("instant", np.arange(40.0) + 0.5, True),
        ("few", np.arange(5), False),
    ],
)
def test_column_that_counts_the_rows_is_told(name, values, told):
    message = hints(**{name: values})
    assert ("List it in `drop`" in message) is told


def numbers_with(decimal: str, thousands: str) -> list[str]:
    values = np.random.default_rng(3).uniform(1_000, 90_000, 200)
    return [f"{value:,.2f}".replace(",", "t").replace(".", decimal).replace("t", thousands) for value in values]


@pytest.mark.parametrize(
    ("decimal", "thousands", "options"),
    [
        (",", "", "declare decimal=',' of the source"),
        (",", ".", "declare decimal=',', thousands='.' of the source"),
        (",", " ", "declare decimal=',', thousands=' ' of the source"),
        (",", "\u00a0", "declare decimal=',', thousands='\\xa0' of the source"),
        (".", ",", "declare thousands=',' of the source"),
        (".", "'", 'declare thousands="\'" of the source'),
    ],
)
def test_numbers_that_were_read_as_text_are_told_with_the_options(decimal, thousands, options):
    message = hints(price=numbers_with(decimal, thousands))
    assert options in message and "'price' holds 200 different texts that all look like numbers" in message


@pytest.mark.parametrize(
    "values",
    [
        ["red", "green"] * 50,
        [f"A{number},5" for number in range(100)],
        [f"2024-01-{day:02d}" for day in range(1, 29)],
        [f"{number}.{number}.{number}" for number in range(100)],
        ["1,5", "2,5"] * 50,  # a few sizes of shoes
        [None] * 40,
    ],
)
def test_other_text_is_no_hint(values):
    assert hints(code=values) == ""


def test_columns_that_are_no_features_and_kinds_that_were_declared_are_no_hint():
    frame = pd.DataFrame({"id": np.arange(50), "price": numbers_with(",", ".")[:50]})
    assert first_look(frame, {"price"}, set()).passed
