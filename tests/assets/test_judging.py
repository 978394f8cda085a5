"""What the gates of a version measure, where the machine might have a say in it."""

import time

import numpy as np
import pandas as pd

from mlops_assets.assets.judging import measured_latency
from mlops_assets.decisions.gates import latency


class Waiting:
    """A model whose predictions wait for 60 ms, as for a core of a busy machine."""

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        time.sleep(0.06)
        return np.zeros(len(X))


def test_latency_counts_what_the_processor_does_and_not_what_it_waits_for():
    single, thousand = measured_latency(Waiting(), pd.DataFrame({"x": np.arange(7.0)}))
    assert latency(single, thousand, 30.0, 30.0).passed
