"""Rows come in order of time, and those of one moment in none."""

import numpy as np
import pandas as pd

from mlops_assets.records.rows import time_order


def test_rows_are_ordered_by_time_within_their_batches():
    times = pd.Series(pd.to_datetime(["2020-01-04", "2020-01-01", "2020-01-02", "2020-01-03"]))
    assert time_order(times).tolist() == [1, 2, 3, 0]
    assert time_order(times, np.array([0, 0, 1, 1])).tolist() == [1, 0, 2, 3]
    assert time_order(times.dt.tz_localize("UTC")).tolist() == [1, 2, 3, 0]


def test_rows_of_one_moment_lose_the_order_of_their_file():
    """A file sorted by label within each day would make the label before a perfect forecast."""
    days = pd.Series(np.repeat(pd.date_range("2020-01-01", periods=10), 100))
    labels = np.tile(np.repeat([0, 1], 50), 10)
    order = time_order(days)
    assert days.iloc[order].is_monotonic_increasing
    assert np.mean(labels[1:] == labels[:-1]) > 0.98
    assert 0.45 < np.mean(labels[order][1:] == labels[order][:-1]) < 0.55
    assert (time_order(days) == order).all()
