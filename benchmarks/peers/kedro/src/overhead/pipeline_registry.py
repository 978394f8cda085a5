"""The measured jobs as Kedro's users write them: pipelines of nodes, `kedro run --pipeline training --params trial=1`.

kedro-mlflow opens the run that the model is logged to, and ends it.
"""

from pathlib import Path

import bare_batch
import bare_training
import mlflow
from kedro.pipeline import Pipeline, node

NAME = "kedro"


def load_rows(home):
    return bare_training.rows(Path(home))


def fit(data, home, trial):
    return bare_training.fit(data, Path(home), trial)


def register(model, data, judged, home):
    client = bare_training.store(Path(home), NAME)
    run = mlflow.active_run().info.run_id
    return bare_training.register(client, Path(home), NAME, model, data[0], judged["figures"], run)


def judge(registered, data, judged, home):
    bare_training.judge(bare_training.store(Path(home), NAME), NAME, *registered, data, judged)


def load_batch(home, key):
    return bare_batch.read(Path(home), key)


def validate(frame, home):
    bare_batch.validate(frame, Path(home))
    return frame


def score(frame, home, key):
    return bare_batch.score(frame, Path(home), NAME, key)


def report(frame, predictions, home, key):
    bare_batch.report(frame, predictions, Path(home), NAME, key)


def register_pipelines() -> dict[str, Pipeline]:
    training = Pipeline(
        [
            node(load_rows, "params:home", "data"),
            node(fit, ["data", "params:home", "params:trial"], "model"),
            node(bare_training.evaluate, ["model", "data"], "judged"),
            node(register, ["model", "data", "judged", "params:home"], "registered"),
            node(judge, ["registered", "data", "judged", "params:home"], None),
        ]
    )
    batch = Pipeline(
        [
            node(load_batch, ["params:home", "params:key"], "frame"),
            node(validate, ["frame", "params:home"], "validated"),
            node(score, ["validated", "params:home", "params:key"], "predictions"),
            node(report, ["validated", "predictions", "params:home", "params:key"], None),
        ]
    )
    return {"training": training, "batch": batch, "__default__": training}
