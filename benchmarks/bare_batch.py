"""The batch run as a plain script of its own steps: read, Great Expectations, parquet, score, drift decision."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("DO_NOT_TRACK", "1")

import great_expectations as gx
import mlflow
import pandas as pd

from mlops_assets.decisions.drift.batch_drift import drift
from mlops_assets.modelling.metrics import scores
from mlops_assets.modelling.predictions import predict


def main(home: Path, batch: str) -> None:
    frame = pd.read_csv(home / "landing" / f"{batch}.csv", parse_dates=["at"])
    assert len(frame) and not frame.isna().all().any()
    suite = json.loads((home / "suite.json").read_text())
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("frame")
    definition = asset.add_batch_definition_whole_dataframe("whole")
    expectations = gx.ExpectationSuite(name="suite", expectations=suite["expectations"])
    found = definition.get_batch({"dataframe": frame}).validate(expectations)
    assert found.success
    out = home / "bare"
    frame.to_parquet(out / f"{batch}-dataset.parquet")
    X = frame.drop(columns=["at", "y"])
    X.to_parquet(out / f"{batch}-features.parquet")
    mlflow.set_tracking_uri(f"sqlite:///{home / 'bare.db'}")
    said = predict(mlflow.sklearn.load_model("models:/bare@champion"), X)
    pd.DataFrame({"prediction": said.value, "score": said.positive}).to_parquet(out / f"{batch}-predictions.parquet")
    report = drift(pd.read_parquet(out / "reference.parquet"), X, list(X.columns))
    (out / f"{batch}-report.json").write_text(
        json.dumps([asdict(report), scores(frame["y"], said, ["log_loss"])], default=str)
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
