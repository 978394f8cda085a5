"""The measured jobs as Dagster's users write them: plain assets, default executor and IO manager."""

import os
from pathlib import Path

import bare_batch
import bare_training
import dagster as dg

HOME, NAME = Path(os.environ["OVERHEAD_HOME"]), "dagster"


class Trial(dg.Config):
    """What a training varies."""

    trial: int


class Batch(dg.Config):
    """The batch of a run."""

    key: str


@dg.asset
def rows():
    return bare_training.rows(HOME)


@dg.asset
def model(rows, config: Trial):
    return bare_training.fit(rows, HOME, config.trial)


@dg.asset
def evaluation(model, rows):
    return bare_training.evaluate(model, rows)


@dg.asset
def version(model, rows, evaluation):
    client = bare_training.store(HOME, NAME)
    return bare_training.register(client, HOME, NAME, model, rows[0], evaluation["figures"])


@dg.asset
def verdict(version, rows, evaluation):
    client = bare_training.store(HOME, NAME)
    run_id, number = version
    bare_training.judge(client, NAME, run_id, number, rows, evaluation)
    client.set_terminated(run_id)


@dg.asset
def frame(config: Batch):
    return bare_batch.read(HOME, config.key)


@dg.asset_check(asset=frame, blocking=True)
def expectations(frame):
    bare_batch.validate(frame, HOME)
    return dg.AssetCheckResult(passed=True)


@dg.asset
def predictions(frame, config: Batch):
    return bare_batch.score(frame, HOME, NAME, config.key)


@dg.asset
def report(frame, predictions, config: Batch):
    bare_batch.report(frame, predictions, HOME, NAME, config.key)


training = [rows, model, evaluation, version, verdict]
batch = [frame, predictions, report]
defs = dg.Definitions(
    assets=[*training, *batch],
    asset_checks=[expectations],
    jobs=[dg.define_asset_job("training", training), dg.define_asset_job("batch", batch)],
)
