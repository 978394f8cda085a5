"""The measured jobs as Prefect's users write them: tasks in a flow: `python flows.py training 1`."""

import os
import sys
from pathlib import Path

import bare_batch
import bare_training
from prefect import flow, task

HOME, NAME = Path(os.environ["OVERHEAD_HOME"]), "prefect"


@task
def load_rows():
    return bare_training.rows(HOME)


@task
def fit(data, trial: int):
    return bare_training.fit(data, HOME, trial)


@task
def evaluate(model, data):
    return bare_training.evaluate(model, data)


@task
def register(model, data, judged):
    return bare_training.register(bare_training.store(HOME, NAME), HOME, NAME, model, data[0], judged["figures"])


@task
def judge(run_id: str, version: str, data, judged):
    client = bare_training.store(HOME, NAME)
    bare_training.judge(client, NAME, run_id, version, data, judged)
    client.set_terminated(run_id)


@flow
def training(trial: int):
    data = load_rows()
    model = fit(data, trial)
    judged = evaluate(model, data)
    run_id, version = register(model, data, judged)
    judge(run_id, version, data, judged)


@task
def load_batch(key: str):
    return bare_batch.read(HOME, key)


@task
def validate(frame):
    bare_batch.validate(frame, HOME)


@task
def score(frame, key: str):
    return bare_batch.score(frame, HOME, NAME, key)


@task
def report(frame, predictions, key: str):
    bare_batch.report(frame, predictions, HOME, NAME, key)


@flow
def batch(key: str):
    frame = load_batch(key)
    validate(frame)
    predictions = score(frame, key)
    report(frame, predictions, key)


if __name__ == "__main__":
    if sys.argv[1] == "training":
        training(int(sys.argv[2]))
    else:
        batch(sys.argv[2])
