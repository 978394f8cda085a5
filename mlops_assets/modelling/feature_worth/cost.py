"""What a feature costs: memory for each row, and time for each prediction."""

from __future__ import annotations

import time
from typing import Any

from mlops_assets.lazy import pd, threadpoolctl
from mlops_assets.modelling.predictions import predict

MOST_ROWS = 2_000
_TIMED_ROWS = 1_000
_TIMES = 7


def bytes_a_row(X: pd.DataFrame) -> dict[str, float]:
    """Bytes of memory that a row of each column of `X` (n, columns) takes, text with its length, on 2,000 rows."""
    part = X.iloc[:MOST_ROWS]
    return {str(name): float(part[name].memory_usage(index=False, deep=True)) / max(len(part), 1) for name in X.columns}


def milliseconds(model: Any, X: pd.DataFrame) -> float:
    """Milliseconds of processor time on one thread to preprocess and predict 1,000 rows, the least of seven.

    Rows repeat where there are fewer. Processor time, since a busy machine doubles that of the clock; still,
    differences under half a millisecond are noise. What a feature costs is the difference between a model with and
    one without it. What the feature function takes is not in it: it makes all columns at once.
    """
    rows = X.iloc[[position % len(X) for position in range(_TIMED_ROWS)]]
    seconds = []
    with threadpoolctl.threadpool_limits(1):
        for _ in range(_TIMES):
            begin = time.process_time()
            predict(model, rows)
            seconds.append(time.process_time() - begin)
    return min(seconds) * 1_000
