"""The training run as a plain script of the same libraries: fit, track, register, load back, judge, plot, promote.

It reads the same stored features, and uses the pack's plain functions for what no library offers (intervals,
comparison, plots), so that what is compared is the orchestration, the recording and the repeated checks.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import Metric
from mlflow.models import infer_signature
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mlops_assets.decisions.promotion.comparison import compare
from mlops_assets.decisions.promotion.leakage import telling_features
from mlops_assets.modelling.feature_worth.importance import permutation_importances
from mlops_assets.modelling.metrics import metric, scores
from mlops_assets.modelling.metrics.intervals import intervals
from mlops_assets.modelling.plots import model_plots as plots
from mlops_assets.modelling.predictions import predict
from mlops_assets.resources.mlflow.model_files import TRUSTED_TYPES

NAME, METRICS = "bare", ["log_loss", "roc_auc", "accuracy"]


def main(home: Path, trial: int) -> None:
    job = json.loads((home / "job.json").read_text())
    train, holdout = job["train"], job["holdout_batches"]
    X, y = read(home, train)
    X_new, y_new = read(home, holdout)
    model = make_pipeline(
        HistGradientBoostingClassifier(**job["params"], l2_regularization=trial * 1e-6, random_state=0)
    )
    model.fit(X, y)
    others = [
        DummyClassifier().fit(X, y),
        make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=300)).fit(
            X[-50_000:], y[-50_000:]
        ),
    ]
    said = predict(model, X_new)
    figures = scores(y_new, said, METRICS)
    baseline = [scores(y_new, predict(other, X_new), METRICS) for other in others]
    client = MlflowClient(f"sqlite:///{home / 'bare.db'}")
    run_id, version = register(client, home, model, X, figures)
    loaded = mlflow.sklearn.load_model(f"models:/{NAME}/{version}")
    assert np.array_equal(predict(loaded, X_new).probability, said.probability)
    latency = [timed(loaded, X_new.iloc[:rows]) for rows in (1, 1_000)]
    assert not telling_features(X, y, "binary") and figures["log_loss"] < baseline[0]["log_loss"]
    bounds = intervals(y_new, said, METRICS)
    importances = permutation_importances(loaded, X_new, y_new, metric(METRICS[0]), [[name] for name in X_new], 0)
    rows = [
        {"feature": name, "importance": effect.value, "low": effect.low, "high": effect.high}
        for name, effect in zip(X_new, importances, strict=True)
    ]
    importance = pd.DataFrame(rows).sort_values("importance", ascending=False)
    drawn = [plots.calibration(y_new, said), plots.roc_pr(y_new, said), plots.importance(importance)]
    verdict, beside = decide(client, X_new, y_new, said)
    drawn += beside
    for number, png in enumerate(drawn):
        save(client, run_id, f"plot-{number}.png", png)
    save(client, run_id, "evidence.json", json.dumps([str(bounds), latency, verdict]).encode())
    if verdict == "promote":
        client.set_registered_model_alias(NAME, "champion", version)
    client.set_terminated(run_id)


def read(home: Path, batches: list[str]) -> tuple[pd.DataFrame, pd.Series]:
    X = pd.concat([pd.read_parquet(home / "bare" / f"{batch}-X.parquet") for batch in batches], ignore_index=True)
    y = pd.concat([pd.read_parquet(home / "bare" / f"{batch}-y.parquet") for batch in batches], ignore_index=True)
    return X, y["y"]


def register(client, home, model, X, figures):
    if client.get_experiment_by_name(NAME) is None:
        client.create_experiment(NAME, artifact_location=(home / "bareartifacts").as_uri())
        client.create_registered_model(NAME)
    run = client.create_run(client.get_experiment_by_name(NAME).experiment_id)
    client.log_batch(
        run.info.run_id, [Metric(name, value, int(time.time() * 1e3), 0) for name, value in figures.items()]
    )
    mlflow.set_tracking_uri(client.tracking_uri)
    with tempfile.TemporaryDirectory() as place:
        mlflow.sklearn.save_model(
            model,
            f"{place}/model",
            signature=infer_signature(X.head(), model.predict(X.head())),
            input_example=X.head(),
            pip_requirements=["scikit-learn"],
            skops_trusted_types=list(TRUSTED_TYPES),
        )
        client.log_artifacts(run.info.run_id, f"{place}/model", "model")
    made = client.create_model_version(NAME, f"{run.info.artifact_uri}/model", run.info.run_id)
    return run.info.run_id, made.version


def timed(model, X):
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        predict(model, X)
        seconds.append(time.perf_counter() - begin)
    return sorted(seconds)[2]


def decide(client, X, y, said):
    """The verdict, and what is drawn of the comparison; the champion gets intervals too, to stand beside."""
    if "champion" not in client.get_registered_model(NAME).aliases:
        return "promote", []
    champion = predict(mlflow.sklearn.load_model(f"models:/{NAME}@champion"), X)
    intervals(y, champion, METRICS)
    found = compare(y.to_numpy(), champion, said, metric(METRICS[0]))
    return found.verdict, [plots.comparison(found.differences, found.low, found.high)]


def save(client, run_id, name, data):
    with tempfile.TemporaryDirectory() as place:
        Path(place, name).write_bytes(data)
        client.log_artifact(run_id, f"{place}/{name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
