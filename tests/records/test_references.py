"""What predictions are held against where a batch has a season: the holdout, and batches that were scored since."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mlops_assets import Folder, ModelPipeline
from mlops_assets.decisions.drift.batch_drift import Pair, drift
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.references import Reference, keep_scores, with_scored_since
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.storage import Storage

CHAMPION = ModelVersion(model="load", version=3, digest="a" * 64, run_id="run")


@pytest.fixture
def load():
    return ModelPipeline(
        name="load", source=Folder("load/*.csv"), target="y", time="at", estimator="sklearn.linear_model.Ridge"
    )


def of_day(number: int, rng: np.random.Generator, shift: float = 0.0) -> tuple[pd.DataFrame, pd.Series]:
    """A prediction each minute of a day."""
    at = pd.Series(pd.date_range(f"2024-03-{number:02d}", periods=1_440, freq="min"))
    return pd.DataFrame({"prediction": at.dt.hour + rng.normal(size=1_440) + shift}), at


def kept(load: ModelPipeline, storage: Storage, number: int, said: tuple[pd.DataFrame, pd.Series]) -> BatchRecord:
    record = BatchRecord(
        f"b{number}", "accepted", "run", version=f"v{number}", rows=1_440, labelled=1_440, features="f", mark="m"
    )
    keep_scores(ModelRecords(load, storage), CHAMPION, record, *said)
    return record


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "no drift"), (60.0, "drift")])
def test_a_season_that_the_holdout_holds_once_is_known_from_batches_scored_since(load, tmp_path, shift, verdict):
    rng, storage = np.random.default_rng(4), Storage(root=str(tmp_path))
    scores, times = of_day(4, rng)
    alone = Reference(rows=pd.DataFrame(), times=None, scores=scores, score_times=times, importance=None)
    said, now = of_day(9, rng, shift)
    calm = [kept(load, storage, day, of_day(day, rng)) for day in (2, 5, 6, 7, 8, 10)]
    since = with_scored_since(alone, ModelRecords(load, storage), CHAMPION, calm, now.min())
    assert (since.batches, len(since.scores), len(since.score_times)) == (4, 5 * 1_440, 5 * 1_440)

    def entry(reference: Reference):
        columns = (reference.scores["prediction"], said["prediction"])
        pair = Pair(
            name="prediction",
            kind="prediction",
            reference=columns[0],
            batch=columns[1],
            times=(reference.score_times, now),
            where="holdout",
        )
        two_days, X = pd.concat([of_day(day, rng)[1] for day in (1, 2)]), pd.DataFrame(index=range(2_880))
        times = (two_days, now)
        report = drift(X, X[:1_440], [], times=times, season=["hour"], extra=[pair])
        (found,) = report.features
        return found

    assert (entry(alone).verdict, entry(since).verdict) == ("unknown", verdict)


def test_what_another_champion_or_other_rows_said_is_not_taken(load, tmp_path):
    rng, storage = np.random.default_rng(5), Storage(root=str(tmp_path))
    scores, times = of_day(4, rng)
    alone = Reference(rows=pd.DataFrame(), times=None, scores=scores, score_times=times, importance=None)
    record, begin = kept(load, storage, 5, of_day(5, rng)), pd.Timestamp("2024-03-09")
    assert with_scored_since(alone, ModelRecords(load, storage), CHAMPION, [record], begin).batches == 1
    for champion, each in ((replace(CHAMPION, digest="b" * 64), record), (CHAMPION, replace(record, version="w"))):
        assert with_scored_since(alone, ModelRecords(load, storage), champion, [each], begin) is alone
