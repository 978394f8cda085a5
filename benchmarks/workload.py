"""The job that is measured: 100,000 rows x 20 features in ten batches, one more batch of 10,000 rows to score."""

from pathlib import Path

import numpy as np
import pandas as pd

ROWS, BATCHES, FEATURES = 10_000, 10, 20
HOLDOUT = 2
PARAMS = {"max_iter": 60, "learning_rate": 0.1}
NAMES = [f"x{number:02d}" for number in range(FEATURES)]
REQUIREMENTS = ["scikit-learn"]


def batch(number: int) -> pd.DataFrame:
    """A batch of a noisy classification problem; the same number gives the same rows."""
    random = np.random.default_rng(number)
    X = random.normal(size=(ROWS, FEATURES)).round(4)
    score = X[:, 0] + X[:, 1] * X[:, 2] + 0.5 * np.sin(3 * X[:, 3]) + random.normal(size=ROWS)
    frame = pd.DataFrame(X, columns=NAMES)
    hours = pd.date_range(pd.Timestamp("2024-01-01") + pd.Timedelta(days=number), periods=ROWS, freq="8s")
    return frame.assign(at=hours, y=(score > 0).astype(int))


def write_batches(folder: Path) -> None:
    """All batches as CSV files, as they would land."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(BATCHES + 1):
        batch(number).to_csv(folder / f"batch-{number:02d}.csv", index=False)


def expectations() -> list[dict[str, object]]:
    """A range for each feature, as a Great Expectations suite states it."""
    return [
        {
            "type": "expect_column_values_to_be_between",
            "kwargs": {"column": name, "min_value": -8, "max_value": 8},
            "meta": {"severity": "error"},
        }
        for name in NAMES
    ]
