"""The batch run as a plain script of its own steps: read, Great Expectations, parquet, score, drift decision."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("DO_NOT_TRACK", "1")

import great_expectations as gx
import mlflow
import numpy as np
import pandas as pd

from mlops_assets.decisions.drift.batch_drift import drift
from mlops_assets.modelling.metrics import scores
from mlops_assets.modelling.predictions import Predictions, predict

NAME = "bare"


def main(home: Path, batch: str) -> None:
    """The steps in turn; `peers/` gives each to a step of another tool."""
    frame = read(home, batch)
    validate(frame, home)
    predictions = score(frame, home, NAME, batch)
    report(frame, predictions, home, NAME, batch)


def read(home, batch):
    frame = pd.read_csv(home / "landing" / f"{batch}.csv", parse_dates=["at"])
    assert len(frame) and not frame.isna().all().any()
    return frame


def validate(frame, home):
    """Validate a batch with Great Expectations."""
    suite = json.loads((home / "suite.json").read_text())
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("frame")
    definition = asset.add_batch_definition_whole_dataframe("whole")
    expectations = gx.ExpectationSuite(name="suite", expectations=suite["expectations"])
    found = definition.get_batch({"dataframe": frame}).validate(expectations)
    assert found.success


def score(frame, home, name, batch):
    """Write the batch and its features, score it by the champion, and write the predictions."""
    out = home / name
    frame.to_parquet(out / f"{batch}-dataset.parquet")
    X = frame.drop(columns=["at", "y"])
    X.to_parquet(out / f"{batch}-features.parquet")
    mlflow.set_tracking_uri(f"sqlite:///{home / f'{name}.db'}")
    predictions = predict(mlflow.sklearn.load_model(f"models:/{name}@champion"), X).frame()
    predictions.to_parquet(out / f"{batch}-predictions.parquet")
    return predictions


def report(frame, predictions, home, name, batch):
    """Measure drift and log loss, and write both."""
    X = frame.drop(columns=["at", "y"])
    positive = predictions["score"].to_numpy()
    said = Predictions(
        predictions["prediction"].to_numpy(), np.column_stack([1 - positive, positive]), np.array([0, 1])
    )
    found = drift(pd.read_parquet(home / "bare" / "reference.parquet"), X, list(X.columns))
    performance = scores(frame["y"], said, ["log_loss"])
    (home / name / f"{batch}-report.json").write_text(json.dumps([asdict(found), performance], default=str))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
