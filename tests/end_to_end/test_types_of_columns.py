"""A loop on the types that a warehouse brings: trained, promoted, scored and judged, with no hand."""

import decimal

import numpy as np
import pandas as pd
import pytest

from mlops_assets import Frame
from support.deployment import failed, why
from support.synthetic import rows


def as_a_warehouse_gives_it(number: int) -> pd.DataFrame:
    """Decimals, nullable and Arrow types, a label of True and False with gaps, zones in every second batch only."""
    frame = rows(number)
    label = pd.Series(frame["bought"] == 1, dtype="boolean").mask(np.arange(60) % 6 == 0)
    return pd.DataFrame(
        {
            "id": frame["id"].astype("uint32"),
            "day": frame["day"].dt.tz_localize("UTC") if number % 2 else frame["day"],
            "x": [decimal.Decimal(str(round(value, 6))) for value in frame["x"]],
            "z": frame["z"].astype("Float64").mask(frame["z"] > 1),
            "wet": label.sample(frac=1, random_state=number).reset_index(drop=True) if number > 1 else frame["z"] > 0,
            "colour": frame["colour"].astype("string").mask(frame["x"] < -1),
            "raw": [{"reading": [value]} for value in frame["z"]],
            "bought": label.astype(object).where(label.notna(), None) if number % 2 else label,
        }
    )


@pytest.mark.slow
def test_a_binary_classifier_with_the_defaults_runs_on_them(deployment, name):
    batches = {f"b{number}": as_a_warehouse_gives_it(number) for number in range(1, 6)}
    model = deployment.model(
        name,
        source=Frame(lambda: iter(batches.items())),
        target="bought",
        drop=["raw"],
        estimator="sklearn.linear_model.LogisticRegression",
        metrics=["log_loss"],
    )
    for batch in ("b1", "b2", "b3", "b4"):
        result = model.materialize("dataset", "features", batch=batch)
        assert result.success, why(result)
    record = model.record("b1")
    assert (record.status, record.rows, record.labelled) == ("accepted", 60, 50)
    stored = model.storage.read_frame(model.name, "dataset", "b1", str(record.version))
    assert "raw" not in stored and str(stored["day"].dtype) == "datetime64[us]"
    trained = model.train()
    assert trained.success, failed(trained) or why(trained)
    assert model.champion() == 1
    scored = model.take_in("b5")
    assert scored.success, failed(scored) or why(scored)
    assert len(model.predictions("b5")) == 60 and set(model.predictions("b5")["prediction"].unique()) <= {True, False}
    judged = model.shown("performance")
    assert (judged["rows"], judged["verdict"]) == (50, "no decay") and 0 < judged["log_loss"] < 0.8
