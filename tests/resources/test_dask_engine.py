"""Searches on a real Dask scheduler with workers in processes of their own: equal results, and killed parts."""

import importlib
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_assets.errors import EngineError
from mlops_assets.modelling.engine import Here
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.search import search
from mlops_assets.modelling.in_order import in_order
from mlops_assets.resources import Compute
from support.noted_fits import NotedFits, echo, noted
from support.servers.dask import DaskCluster, dask_cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
RANDOM = np.random.default_rng(0)
X = pd.DataFrame(RANDOM.normal(size=(240, 4)), columns=list("abcd")).assign(city=["x", "y"] * 120)
Y = X["a"] + 0.3 * pd.Series(RANDOM.normal(size=240))
HALF = [(np.arange(120), np.arange(120, 240))]
VALUES = [float(value) for value in range(12)]


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory):
    with dask_cluster(tmp_path_factory.mktemp("dask")) as cluster:
        yield cluster


@pytest.fixture
def cluster(tmp_path):
    with dask_cluster(tmp_path / "dask") as cluster:
        yield cluster


def compute(cluster: DaskCluster, **more) -> Compute:
    return Compute(scheduler=cluster.url, **{"wait_seconds": 20, **more})


def outcome(result):
    trials = [(trial.number, trial.params, repr(trial.score), repr(trial.std), trial.error) for trial in result.trials]
    return trials, result.params, result.model.predict(X).tobytes()


def noted_search(notes: Path, engine, progress=None, seconds=0.3):
    """Try 12 values, of which 0.0 is the best; each is fitted once, in the time that a test needs to kill something."""
    model = build(NotedFits, {"notes": str(notes), "seconds": seconds}, X, "regression", 0)
    return search(model, X, Y, HALF, {"value": VALUES}, "grid", 12, "rmse", 0, progress=progress, engine=engine)


def fits(notes: Path) -> Counter:
    """How often each value was fitted in the search; the last fit is that of the winner on all rows."""
    return Counter(value for value, *_ in noted(notes)[:-1])


@pytest.mark.parametrize("method", ["grid", "random", "halving", "optuna"])
def test_a_search_on_dask_is_the_search_of_one_process(shared_cluster, method):
    space = {"learning_rate": [0.1, -1.0, 0.3], "max_depth": [2, 3]}
    model = build("sklearn.ensemble.HistGradientBoostingRegressor", {"max_iter": 4}, X, "regression", 0)
    options = (model, X, Y, HALF, space, method, 6, "rmse", 3)
    here = outcome(search(*options, engine=Here(one_thread=True), at_once=4))
    for workers in (1, 2, -1):
        with compute(shared_cluster, fallback=False).engine(workers, print) as engine:
            assert outcome(search(*options, engine=engine, at_once=4)) == here


def test_trials_run_side_by_side_on_one_copy_of_the_data(shared_cluster, tmp_path):
    with compute(shared_cluster, fallback=False).engine(2, print) as engine:
        noted_search(tmp_path / "notes", engine, seconds=0.05)
    made = noted(tmp_path / "notes")[:-1]
    assert len({process for _, process, _ in made}) == 2
    assert {threads for *_, threads in made} == {1}


def test_a_killed_worker_loses_nothing_and_repeats_no_trial_that_has_ended(cluster, tmp_path):
    notes, ended, repeated = tmp_path / "notes", [], []

    def progress(trial):
        ended.append(trial.params["value"])
        if len(ended) == 4:
            cluster.kill_worker()
            cluster.add_worker()
            repeated.extend(ended)

    with compute(cluster, fallback=False).engine(2, print) as engine:
        result = noted_search(notes, engine, progress)
    assert sorted(ended) == VALUES and result.params == {"value": 0.0}
    assert [trial.error for trial in result.trials] == [None] * 12
    made = fits(notes)
    assert all(made[value] == 1 for value in repeated)
    assert 12 <= made.total() <= 14  # at most what the worker had in hand, and a result that was not fetched yet


def test_all_workers_killed_are_replaced_by_others(cluster, tmp_path):
    notes, ended = tmp_path / "notes", []

    def progress(trial):
        ended.append(trial.params["value"])
        if len(ended) == 3:
            for _ in range(2):
                cluster.kill_worker()
            cluster.add_worker()

    with compute(cluster, fallback=False).engine(2, print) as engine:
        result = noted_search(notes, engine, progress)
    assert sorted(ended) == VALUES and result.params == {"value": 0.0}
    assert all(fits(notes)[value] == 1 for value in ended[:3])


def test_a_trial_that_ends_its_workers_fails_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "0")
    notes = tmp_path / "notes"
    model = build(NotedFits, {"notes": str(notes), "deadly": 2.0}, X, "regression", 0)
    options = (model, X, Y, HALF, {"value": VALUES}, "grid", 12, "rmse", 0)
    with dask_cluster(tmp_path / "dask") as cluster, compute(cluster, fallback=False).engine(1, print) as engine:
        result = search(*options, engine=engine)
    errors = {trial.params["value"]: trial.error for trial in result.trials if trial.error}
    assert errors == {2.0: "it ended each Dask worker that ran it, as for want of memory"}
    assert result.params == {"value": 0.0} and fits(notes) == Counter(VALUES)


@pytest.mark.parametrize("fallback", [True, False])
def test_a_scheduler_that_is_killed_falls_back_or_fails(cluster, tmp_path, fallback):
    notes, ended, warned = tmp_path / "notes", [], []

    def progress(trial):
        ended.append(trial.params["value"])
        if len(ended) == 4:
            cluster.kill_scheduler()

    with compute(cluster, fallback=fallback, wait_seconds=5).engine(2, warned.append) as engine:
        if not fallback:
            with pytest.raises(EngineError, match="Dask scheduler"):
                noted_search(notes, engine, progress)
            return
        result = noted_search(notes, engine, progress)
    assert sorted(ended) == VALUES and result.params == {"value": 0.0}
    assert len(warned) == 1 and "of 12 tasks run on the host of the run" in warned[0]
    assert all(fits(notes)[value] == 1 for value in ended[:4])


def test_a_scheduler_that_no_longer_answers_is_left(cluster, tmp_path):
    ended, warned = [], []
    with compute(cluster, wait_seconds=2).engine(2, warned.append) as engine:
        shown = engine.each(echo, 0.3, VALUES)
        ended.append(next(shown))
        with cluster.paused_scheduler():
            ended.extend(shown)
    assert sorted(result for _, result in ended) == VALUES
    assert len(warned) == 1 and cluster.url in warned[0]


def test_a_scheduler_without_workers_counts_as_away(tmp_path):
    with (
        dask_cluster(tmp_path, workers=0) as cluster,
        pytest.raises(EngineError, match="does not answer, or has no worker"),
        compute(cluster, wait_seconds=4, fallback=False).engine(2, print),
    ):
        pass


def test_a_large_task_goes_to_a_worker_past_the_scheduler(shared_cluster):
    tasks = [np.full(300_000, value) for value in VALUES[:3]]
    with compute(shared_cluster, fallback=False).engine(-1, print) as engine:
        ended = dict(engine.each(echo, 0.0, tasks))
    assert [ended[place].sum() for place in range(3)] == [0.0, 300_000.0, 600_000.0]


def test_workers_with_other_packages_are_refused(shared_cluster, monkeypatch):
    monkeypatch.setattr("mlops_assets.resources.dask_engine._packages", lambda: {"python": "3.99"})
    with (
        compute(shared_cluster, fallback=False).engine(2, print) as engine,
        pytest.raises(EngineError, match=r"RuntimeError: it has .*: results would differ"),
    ):
        list(engine.each(echo, 0.0, VALUES))


def test_large_chunks_keep_their_order_where_a_worker_is_killed(cluster):
    chunks, ended = (np.full(200_000, value) for value in VALUES), []
    with compute(cluster, fallback=False).engine(2, print) as engine:
        assert engine.at_once == 2
        for chunk in in_order(engine, echo, 0.1, chunks):
            ended.append(float(chunk[0]))
            if len(ended) == 3:
                cluster.kill_worker()
                cluster.add_worker()
    assert ended == VALUES


def test_a_worker_without_the_code_of_the_project_is_told_so(shared_cluster, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("class Model:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    model = importlib.import_module("only_here").Model()
    message = "could not take what it was sent: .*No module named 'only_here'.*the code of the project"
    with (
        compute(shared_cluster, fallback=False).engine(2, print) as engine,
        pytest.raises(EngineError, match=message),
    ):
        list(in_order(engine, echo, model, VALUES))
