"""Numbers and counts as people read them."""

import pytest

from mlops_assets.text import counted, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (18_820.0, "18,820"),
        (18_820, "18,820"),
        (1_234.5, "1,234"),
        (12.0, "12"),
        (999.95, "1000"),
        (0.047619, "0.04762"),
        (-0.0, "0"),
        (0, "0"),
        (1e-9, "1e-09"),
        (-2_400_000.4, "-2,400,000"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_have_no_exponent_where_they_are_large_and_no_minus_zero(value, text):
    assert number(value) == text


def test_p_values_have_two_digits():
    assert (number(0.047619, 2), number(0.5, 2), number(1e-300, 2)) == ("0.048", "0.5", "1e-300")


def test_one_is_singular():
    said = [counted(n, "batch", "batches") for n in (0, 1, 2, 2_400)]
    assert said == ["0 batches", "1 batch", "2 batches", "2,400 batches"]
