import numpy as np
import pandas as pd

from mlops_assets.modelling.feature_worth.cost import bytes_a_row


def test_bytes_are_those_of_a_row():
    X = pd.DataFrame({"number": np.zeros(3_000), "small": np.zeros(3_000, dtype="int8"), "text": ["a" * 1_000] * 3_000})
    found = bytes_a_row(X)
    assert (found["number"], found["small"]) == (8.0, 1.0) and 1_000 < found["text"] < 1_100
