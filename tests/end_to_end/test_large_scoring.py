"""A batch beyond memory is scored by workers: the same predictions as in the run, whatever becomes of a worker."""

import os
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from mlops_assets import Folder, Limits, disk_frame
from mlops_assets.resources import Compute
from support.deployment import why
from support.noted_scores import noted_scores
from support.relay import free_port
from support.servers.dask import dask_cluster
from support.synthetic import rows

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]
ROWS, AT_ONCE = 400, 37
CHUNKS = [AT_ONCE] * (ROWS // AT_ONCE) + [ROWS % AT_ONCE]


@pytest.fixture
def scored(deployment, name, tmp_path, monkeypatch):
    """A function that scores a large batch by a champion, with `workers` and an engine; the frame, what is shown."""
    monkeypatch.setattr(disk_frame, "ROWS_AT_ONCE", AT_ONCE)
    notes = tmp_path / "notes"
    notes.mkdir()
    declared = {
        "estimator": "support.noted_scores.NotedScores",
        "params": {"notes": str(notes), "run": os.getpid()},
        "trusted_types": ["support.noted_scores.NotedScores"],
        "slices": ["colour"],
    }
    model = deployment.model(name, **declared)
    model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
    trained = model.challenge()
    assert trained.success, why(trained)
    rows(4, count=ROWS).to_parquet(model.landing / "large.parquet", row_group_size=50)
    large = Folder(str(model.landing / "*.parquet"), limits=Limits(memory_mb=0.004))
    result = deployment.model(name, source=large, **declared).materialize("dataset", "features", batch="large")
    assert result.success, why(result)

    def score(workers: int | None, compute: Compute | None = None, *, kill: bool = False):
        (notes / "notes").unlink(missing_ok=True)
        deployment.resources.pop("mlops_compute", None)
        if compute is not None:
            deployment.resources["mlops_compute"] = compute
        if kill:
            (notes / "kill").touch()
        again = deployment.model(name, source=large, workers=workers, **declared)
        result = again.materialize("predictions", batch="large")
        assert (notes / "kill").exists() is False
        if not result.success:
            return result, {}, noted_scores(notes)
        return again.predictions("large"), again.shown("predictions"), noted_scores(notes)

    score.stored = lambda: list((Path(deployment.storage.root) / name / "predictions").rglob("*.parquet"))
    return score


def test_predictions_do_not_depend_on_workers_nor_on_one_that_is_killed(scored, tmp_path):
    alone, shown, made = scored(None)
    assert "engine" not in shown and len(alone) == ROWS
    assert [count for _, count in made] == CHUNKS and {process for process, _ in made} == {os.getpid()}

    def same(workers, compute, engine, **more):
        frame, shown, made = scored(workers, compute, **more)
        pd.testing.assert_frame_equal(frame, alone, check_exact=True)
        assert shown["engine"] == engine and "engine_away" not in shown
        assert len(scored.stored()) == 1
        return made

    made = same(0, Compute(), "the process of the run")
    assert {process for process, _ in made} == {os.getpid()}
    with dask_cluster(tmp_path / "dask") as cluster:
        compute = Compute(scheduler=cluster.url, wait_seconds=30, fallback=False)
        for workers in (1, 2):
            made = same(workers, compute, f"Dask at {cluster.url}")
            assert sorted(count for _, count in made) == sorted(CHUNKS)
            assert os.getpid() not in {process for process, _ in made}
        made = same(2, compute, f"Dask at {cluster.url}", kill=True)
        assert sorted(count for _, count in made) == sorted(CHUNKS)  # the killed worker had scored none of its chunk
        assert os.getpid() not in {process for process, _ in made}


def test_local_processes_score_the_same_and_take_over_from_a_scheduler_that_is_away(scored, monkeypatch):
    monkeypatch.setattr("joblib.effective_n_jobs", lambda count: 2)
    alone, *_ = scored(None)
    frame, shown, made = scored(2, Compute(), kill=True)
    pd.testing.assert_frame_equal(frame, alone, check_exact=True)
    assert shown["engine"] == "2 local processes" and len(scored.stored()) == 1
    # joblib ends the other process, too: a chunk that it had just scored is scored again.
    counts, chunks = Counter(count for _, count in made), Counter(CHUNKS)
    assert not chunks - counts and (counts - chunks).total() <= 1
    assert os.getpid() not in {process for process, _ in made}

    address = f"tcp://127.0.0.1:{free_port()}"
    refused, *_ = scored(2, Compute(scheduler=address, wait_seconds=1, fallback=False))
    assert why(refused).startswith("mlops_assets.errors.EngineError") and f"scheduler {address}" in why(refused)
    frame, shown, _ = scored(2, Compute(scheduler=address, wait_seconds=1))
    pd.testing.assert_frame_equal(frame, alone, check_exact=True)
    assert f"the Dask scheduler {address} does not answer" in shown["engine_away"] and len(scored.stored()) == 1
