"""The measured jobs as ZenML's users write them: annotated steps in a pipeline: `python pipelines.py training 1`.

Caching is off: each run is to do the work, and ZenML does not see that a file which a step reads has changed.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import bare_batch
import bare_training
import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from zenml import pipeline, step

HOME, NAME = Path(os.environ["OVERHEAD_HOME"]), "zenml"


@step
def load_rows() -> tuple[
    Annotated[pd.DataFrame, "X"],
    Annotated[pd.Series, "y"],
    Annotated[pd.DataFrame, "X_new"],
    Annotated[pd.Series, "y_new"],
]:
    X, y, X_new, y_new = bare_training.rows(HOME)
    return X, y, X_new, y_new  # ZenML reads here that there are four


@step
def fit(X: pd.DataFrame, y: pd.Series, trial: int) -> Annotated[Pipeline, "model"]:
    return bare_training.fit((X, y, X, y), HOME, trial)


@step
def evaluate(
    model: Pipeline, X: pd.DataFrame, y: pd.Series, X_new: pd.DataFrame, y_new: pd.Series
) -> tuple[
    Annotated[dict[str, float], "figures"],
    Annotated[list[dict[str, float]], "baseline"],
    Annotated[np.ndarray, "probability"],
]:
    judged = bare_training.evaluate(model, (X, y, X_new, y_new))
    return judged["figures"], judged["baseline"], judged["probability"]


@step
def register(
    model: Pipeline, X: pd.DataFrame, figures: dict[str, float]
) -> tuple[Annotated[str, "run_id"], Annotated[str, "version"]]:
    run_id, version = bare_training.register(bare_training.store(HOME, NAME), HOME, NAME, model, X, figures)
    return run_id, str(version)


@step
def judge(
    run_id: str,
    version: str,
    X: pd.DataFrame,
    y: pd.Series,
    X_new: pd.DataFrame,
    y_new: pd.Series,
    figures: dict[str, float],
    baseline: list[dict[str, float]],
    probability: np.ndarray,
) -> None:
    client = bare_training.store(HOME, NAME)
    judged = {"figures": figures, "baseline": baseline, "probability": probability}
    bare_training.judge(client, NAME, run_id, version, (X, y, X_new, y_new), judged)
    client.set_terminated(run_id)


@pipeline(enable_cache=False)
def training(trial: int):
    X, y, X_new, y_new = load_rows()
    model = fit(X, y, trial)
    figures, baseline, probability = evaluate(model, X, y, X_new, y_new)
    run_id, version = register(model, X, figures)
    judge(run_id, version, X, y, X_new, y_new, figures, baseline, probability)


@step
def load_batch(key: str) -> Annotated[pd.DataFrame, "frame"]:
    return bare_batch.read(HOME, key)


@step
def validate(frame: pd.DataFrame) -> Annotated[pd.DataFrame, "validated"]:
    bare_batch.validate(frame, HOME)
    return frame


@step
def score(frame: pd.DataFrame, key: str) -> Annotated[pd.DataFrame, "predictions"]:
    return bare_batch.score(frame, HOME, NAME, key)


@step
def report(frame: pd.DataFrame, predictions: pd.DataFrame, key: str) -> None:
    bare_batch.report(frame, predictions, HOME, NAME, key)


@pipeline(enable_cache=False)
def batch(key: str):
    frame = validate(load_batch(key))
    report(frame, score(frame, key), key)


if __name__ == "__main__":
    if sys.argv[1] == "training":
        training(int(sys.argv[2]))
    else:
        batch(sys.argv[2])
