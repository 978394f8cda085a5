"""The cost of a feature: memory for each row, and time for each prediction."""

from __future__ import annotations

import time
from typing import Any

from mlops_assets.lazy import np, pd, threadpoolctl
from mlops_assets.modelling.predictions import predict

_MOST_ROWS = 2_000
_TIMED_ROWS = 1_000
_TIMES = 7


def bytes_a_row(X: pd.DataFrame) -> dict[str, float]:
    """Return the bytes of memory a row of each column of `X` (n, columns) takes, with its text, on 2,000 rows."""
    part = X.iloc[:_MOST_ROWS]
    return {str(name): float(part[name].memory_usage(index=False, deep=True)) / max(len(part), 1) for name in X.columns}


def milliseconds(model: Any, X: pd.DataFrame) -> float:
    """Return the milliseconds of processor time on one thread to preprocess and predict 1,000 rows, the least of seven.

    Rows repeat if there are fewer. A busy machine doubles the clock's time, so processor time is measured. Still,
    differences under half a millisecond are noise. The cost of a feature is the difference between a model with it and
    one without it. The time of the feature function is not included: it makes all columns at once.
    """
    rows = X.iloc[np.arange(_TIMED_ROWS) % len(X)]
    seconds = []
    with threadpoolctl.threadpool_limits(1):
        for _ in range(_TIMES):
            begin = time.process_time()
            predict(model, rows)
            seconds.append(time.process_time() - begin)
    return min(seconds) * 1_000
