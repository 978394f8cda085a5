"""False alarms and power of a whole batch, by simulation; benchmarks/alarm_errors.py measures more worlds."""

from functools import partial

import numpy as np
import pandas as pd
import pytest

from mlops_assets.decisions.drift.batch_drift import drift as drift_and_together

drift = partial(drift_and_together, together=False)


def rows_of(draw, rows, columns, correlation):
    shared, own = draw.normal(size=(rows, 1)), draw.normal(size=(rows, columns))
    values = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    return pd.DataFrame(values, columns=[f"f{number}" for number in range(columns)])


def alarms(draws, rows, correlation, shift=0.0, columns=20, size=20_000):
    draw = np.random.default_rng(0)
    found = 0
    for number in range(draws):
        if number % 20 == 0:
            reference = rows_of(draw, size, columns, correlation)
        batch = rows_of(draw, rows, columns, correlation)
        batch.iloc[:, : columns // 10] += shift
        found += drift(reference, batch, list(reference)).verdict == "drift"
    return found


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_null_batches_raise_hardly_an_alarm(correlation):
    assert alarms(60, 1_000, correlation, size=4_000) <= 1


def test_a_shift_of_a_tenth_of_a_standard_deviation_is_seen():
    assert alarms(10, 5_000, 0.0, shift=0.1) >= 9


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "correlation"), [(200, 0.7), (1_000, 0.0), (5_000, 0.7)])
def test_null_batches_raise_at_most_one_alarm_in_a_hundred_measured_finely(rows, correlation):
    """benchmarks/alarm_errors.py prints the share in thousands of batches."""
    assert alarms(300, rows, correlation) <= 3


@pytest.mark.slow
@pytest.mark.parametrize("columns", [20, 100])
def test_a_shift_of_a_tenth_of_a_standard_deviation_is_seen_in_nine_batches_of_ten(columns):
    assert alarms(60, 5_000, 0.0, shift=0.1, columns=columns) >= 54
