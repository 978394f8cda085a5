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
    """The steps in turn; `peers/` gives each to a step of another tool."""
    data = rows(home)
    model = fit(data, home, trial)
    judged = evaluate(model, data)
    client = store(home, NAME)
    run_id, version = register(client, home, NAME, model, data[0], judged["figures"])
    judge(client, NAME, run_id, version, data, judged)
    client.set_terminated(run_id)


def rows(home: Path) -> tuple[pd.DataFrame, pd.Series, pd.DataFrame, pd.Series]:
    """The features and targets that are trained on, then those that the model is judged by."""
    job = json.loads((home / "job.json").read_text())
    return (*read(home, job["train"]), *read(home, job["holdout_batches"]))


def read(home: Path, batches: list[str]) -> tuple[pd.DataFrame, pd.Series]:
    X = pd.concat([pd.read_parquet(home / "bare" / f"{batch}-X.parquet") for batch in batches], ignore_index=True)
    y = pd.concat([pd.read_parquet(home / "bare" / f"{batch}-y.parquet") for batch in batches], ignore_index=True)
    return X, y["y"]


def fit(data, home, trial):
    X, y, _, _ = data
    params = json.loads((home / "job.json").read_text())["params"]
    model = make_pipeline(HistGradientBoostingClassifier(**params, l2_regularization=trial * 1e-6, random_state=0))
    return model.fit(X, y)


def evaluate(model, data):
    """The metrics of the model and of two baselines, and the model's probabilities."""
    X, y, X_new, y_new = data
    others = [
        DummyClassifier().fit(X, y),
        make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=300)).fit(
            X[-50_000:], y[-50_000:]
        ),
    ]
    said = predict(model, X_new)
    baseline = [scores(y_new, predict(other, X_new), METRICS) for other in others]
    return {"figures": scores(y_new, said, METRICS), "baseline": baseline, "probability": said.probability}


def store(home, name):
    """A client of the job's own MLflow, a SQLite file, with its experiment and model."""
    client = MlflowClient(f"sqlite:///{home / f'{name}.db'}")
    mlflow.set_tracking_uri(client.tracking_uri)
    if client.get_experiment_by_name(name) is None:
        client.create_experiment(name, artifact_location=(home / f"{name}artifacts").as_uri())
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    return client


def register(client, home, name, model, X, figures, run_id=None):
    """Log metrics and model to the run that is given, or to a new one, and make it a version."""
    if run_id is None:
        run_id = client.create_run(client.get_experiment_by_name(name).experiment_id).info.run_id
    client.log_batch(run_id, [Metric(metric, value, int(time.time() * 1e3), 0) for metric, value in figures.items()])
    with tempfile.TemporaryDirectory() as place:
        mlflow.sklearn.save_model(
            model,
            f"{place}/model",
            signature=infer_signature(X.head(), model.predict(X.head())),
            input_example=X.head(),
            pip_requirements=["scikit-learn"],
            skops_trusted_types=list(TRUSTED_TYPES),
        )
        client.log_artifacts(run_id, f"{place}/model", "model")
    uri = client.get_run(run_id).info.artifact_uri
    return run_id, client.create_model_version(name, f"{uri}/model", run_id).version


def judge(client, name, run_id, version, data, judged):
    """Load the version, compare it with the champion, draw and keep the evidence, and promote it."""
    X, y, X_new, y_new = data
    loaded = mlflow.sklearn.load_model(f"models:/{name}/{version}")
    said = predict(loaded, X_new)
    assert np.array_equal(said.probability, judged["probability"])
    latency = [timed(loaded, X_new.iloc[:rows]) for rows in (1, 1_000)]
    figures, baseline = judged["figures"], judged["baseline"]
    assert not telling_features(X, y, "binary") and figures["log_loss"] < baseline[0]["log_loss"]
    bounds = intervals(y_new, said, METRICS)
    importances = permutation_importances(loaded, X_new, y_new, metric(METRICS[0]), [[name] for name in X_new], 0)
    worth = [
        {"feature": name, "importance": effect.value, "low": effect.low, "high": effect.high}
        for name, effect in zip(X_new, importances, strict=True)
    ]
    importance = pd.DataFrame(worth).sort_values("importance", ascending=False)
    drawn = [plots.calibration(y_new, said), plots.roc_pr(y_new, said), plots.importance(importance)]
    verdict, beside = decide(client, name, X_new, y_new, said)
    drawn += beside
    for number, png in enumerate(drawn):
        save(client, run_id, f"plot-{number}.png", png)
    save(client, run_id, "evidence.json", json.dumps([str(bounds), latency, verdict]).encode())
    if verdict == "promote":
        client.set_registered_model_alias(name, "champion", version)


def timed(model, X):
    seconds = []
    for _ in range(5):
        begin = time.perf_counter()
        predict(model, X)
        seconds.append(time.perf_counter() - begin)
    return sorted(seconds)[2]


def decide(client, name, X, y, said):
    """The verdict, and what is drawn of the comparison; the champion gets intervals too, to stand beside."""
    if "champion" not in client.get_registered_model(name).aliases:
        return "promote", []
    champion = predict(mlflow.sklearn.load_model(f"models:/{name}@champion"), X)
    intervals(y, champion, METRICS)
    found = compare(y.to_numpy(), champion, said, metric(METRICS[0]))
    return found.verdict, [plots.comparison(found.differences, found.low, found.high)]


def save(client, run_id, name, data):
    with tempfile.TemporaryDirectory() as place:
        Path(place, name).write_bytes(data)
        client.log_artifact(run_id, f"{place}/{name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
