import struct

import numpy as np
import pandas as pd
import pytest

from mlops_assets.errors import TrainingError
from mlops_assets.modelling.fitting.trials import Trial
from mlops_assets.modelling.plots import model_plots as plots
from mlops_assets.modelling.predictions import Predictions

RANDOM = np.random.default_rng(0)
ROWS = 1_000
NUMBERS = RANDOM.normal(size=ROWS)
SAID = Predictions(NUMBERS + 0.3 * RANDOM.normal(size=ROWS))
TIMES = pd.Series(pd.date_range("2020-01-01", periods=ROWS, freq="h"))
LABELS = RANDOM.choice(["$no$", "yes"], ROWS)
POSITIVE = 1 / (1 + np.exp(-RANDOM.normal(np.where(LABELS == "yes", 1, -1))))
BINARY = Predictions(LABELS, np.column_stack([1 - POSITIVE, POSITIVE]), np.array(["$no$", "yes"]))
THREE = Predictions(RANDOM.integers(0, 3, ROWS), RANDOM.dirichlet([1, 1, 1], ROWS), np.arange(3))
NAMES = ["$x_{$", "<script>", "long " * 30, *(f"feature {number}" for number in range(20))]
WORTH = np.arange(23)[::-1] / 23
TABLE = pd.DataFrame({"feature": NAMES, "importance": WORTH, "low": WORTH - 0.04, "high": WORTH + 0.04})
TRIALS = [
    Trial(
        number=number,
        params={},
        score=float("nan") if number == 3 else -1 / (number + 1),
        std=0.1,
        seconds=1.0,
        error="no" if number == 3 else None,
    )
    for number in range(9)
]

FIGURES = {
    "predicted_and_actual over time": lambda: plots.predicted_and_actual(NUMBERS, SAID, TIMES),
    "predicted_and_actual by row": lambda: plots.predicted_and_actual(NUMBERS[:50], SAID.take(np.arange(50))),
    "residuals": lambda: plots.residuals(NUMBERS, SAID),
    "calibration": lambda: plots.calibration(LABELS, BINARY),
    "calibration of three": lambda: plots.calibration(THREE.value, THREE),
    "roc_pr": lambda: plots.roc_pr(LABELS, BINARY),
    "roc_pr of three": lambda: plots.roc_pr(THREE.value, THREE),
    "roc_pr of one class": lambda: plots.roc_pr(LABELS[:0], BINARY.take(np.arange(0))),
    "importance": lambda: plots.importance(TABLE),
    "comparison": lambda: plots.comparison(RANDOM.normal(0.1, 0.05, 2_000), 0.0, 0.2),
    "comparison of equals": lambda: plots.comparison(np.zeros(100), 0.0, 0.0),
    "search_trials": lambda: plots.search_trials(TRIALS),
    "search_trials that failed": lambda: plots.search_trials(TRIALS[3:4]),
}


@pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")  # garbage of tests before
@pytest.mark.parametrize("name", FIGURES)
def test_draws_a_png_of_its_size(name):
    png = FIGURES[name]()
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", png[16:24]) == (900, 400)


def test_same_inputs_same_bytes():
    assert plots.residuals(NUMBERS, SAID) == plots.residuals(NUMBERS, SAID)


def test_nothing_to_draw_is_said():
    with pytest.raises(TrainingError, match="no row of 2 has a finite label and prediction"):
        plots.residuals(np.ones(2), Predictions(np.full(2, np.nan)))
