"""What the gates of a version measure, where the machine might have a say in it."""

import time

import numpy as np
import pandas as pd
import pytest

from mlops_assets.assets.training.gates import measured_latency
from mlops_assets.decisions.promotion.gates import latency


class Waiting:
    """A model whose predictions wait for 60 ms, as for a core of a busy machine."""

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        time.sleep(0.06)
        return np.zeros(len(X))


def test_latency_counts_what_the_processor_does_and_not_what_it_waits_for():
    single, thousand = measured_latency(Waiting(), pd.DataFrame({"x": np.arange(7.0)}))
    assert latency(single, thousand, 30.0, 30.0).passed


class Working:
    """A model that takes 4 ms of the processor, and counts how often it is asked for one row."""

    asked = 0

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        self.asked += len(X) == 1
        end = time.process_time() + 0.004
        while time.process_time() < end:
            pass
        return np.zeros(len(X))


@pytest.mark.parametrize(("most", "measurements"), [(None, 2), (1_000.0, 2), (6.0, 7), (1.0, 7)])
def test_latency_is_measured_again_and_again_only_near_the_limit(most, measurements):
    model = Working()
    assert measured_latency(model, pd.DataFrame({"x": np.arange(7.0)}), most)[0] >= 4.0
    assert model.asked == measurements
