"""What a tool's runs have stored: prints the log loss of each model version and what the newest one predicts.

Run by the Python of that tool: `python stored.py TRACKING_URI MODEL FEATURES.parquet`. A version that does not load, or
whose run has no metric, is an error.
"""

import json
import sys

import mlflow
import pandas as pd
from mlflow import MlflowClient


def main(uri: str, name: str, features: str) -> None:
    mlflow.set_tracking_uri(uri)
    client = MlflowClient(uri)
    versions = sorted(client.search_model_versions(f"name = '{name}'"), key=lambda made: int(made.version))
    losses = [client.get_run(made.run_id).data.metrics["log_loss"] for made in versions]
    newest = mlflow.sklearn.load_model(f"models:/{name}/{versions[-1].version}")
    said = newest.predict_proba(pd.read_parquet(features))[:, 1]
    print(json.dumps({"log_loss": losses, "mean": float(said.mean())}))


if __name__ == "__main__":
    main(*sys.argv[1:])
