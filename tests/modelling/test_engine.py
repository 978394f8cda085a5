"""Tasks give the same results in this process and in others; what a killed process had is run again."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import joblib
import psutil
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mlops_assets.errors import DeclarationError, EngineError
from mlops_assets.modelling.engine import Here, Processes, WithFallback, local, with_one_thread
from support import TESTS

TWO = Processes(2)


def square(shared: int, task: int) -> int:
    return shared + task * task


def threads(shared: None, task: int) -> int:
    return max(library["num_threads"] for library in threadpool_info())


def dies_once(notes: Path, task: int) -> int:
    """End the process of task 3 at its first attempt."""
    with (notes / str(task)).open("a") as file:
        file.write("x")
    if task == 3 and (notes / "3").read_text() == "x":
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def deadly(shared: None, task: int) -> int:
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def refuses(shared: None, task: int) -> int:
    raise DeclarationError(f"task {task}")


def breaks(shared: None, task: int) -> int:
    raise OSError(f"task {task}")


def test_each_engine_gives_each_result_once():
    for engine in (Here(), Here(one_thread=True), TWO, WithFallback(TWO, Here(), print)):
        assert dict(engine.each(square, 1, range(7))) == {place: 1 + place * place for place in range(7)}
        assert list(engine.each(square, 1, [])) == []
        assert engine.name


def test_a_task_has_one_thread_where_the_engine_says_so():
    with threadpool_limits(limits=2):
        assert dict(Here().each(threads, None, [0])) == {0: 2}
        assert dict(Here(one_thread=True).each(threads, None, [0])) == {0: 1}
        assert threads(None, 0) == 2
    assert set(dict(TWO.each(threads, None, range(4))).values()) == {1}


def test_a_killed_process_loses_nothing(tmp_path):
    ended = list(TWO.each(dies_once, tmp_path, range(8)))
    assert sorted(ended) == [(place, place) for place in range(8)]


def test_a_task_that_ends_each_process_becomes_an_error_and_stops_no_other():
    ended = dict(TWO.each(deadly, None, range(6)))
    lost = ended.pop(3)
    assert ended == {0: 0, 1: 1, 2: 2, 4: 4, 5: 5}
    assert isinstance(lost, EngineError) and "ended each process" in str(lost)


def test_what_a_task_refuses_is_raised():
    for engine in (Here(), TWO, WithFallback(TWO, Here(), print)):
        with pytest.raises(DeclarationError, match="task "):
            list(engine.each(refuses, None, range(2)))


def test_an_engine_that_fails_is_named():
    with pytest.raises(EngineError, match="engine 'loky' failed: OSError: task"):
        list(TWO.each(breaks, None, range(2)))


@pytest.mark.slow
def test_local_processes_end_soon_after_a_killed_run():
    program = (
        "from mlops_assets.modelling.engine import Processes\nfrom support.noted_fits import echo\n"
        "for _ in Processes(2).each(echo, 0.1, [*range(10_000)]): print('one', flush=True)"
    )
    path = {"PYTHONPATH": os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])}
    run = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, **path}, stdout=subprocess.PIPE)
    assert run.stdout is not None and run.stdout.readline() == b"one\n"
    processes = psutil.Process(run.pid).children(recursive=True)
    workers = [process for process in processes if "popen_loky" in " ".join(process.cmdline())]
    assert len(workers) == 2
    run.kill()
    run.communicate()
    assert psutil.wait_procs(workers, timeout=30)[1] == []


class Lost:
    """An engine that is lost after two results."""

    one_thread, name = True, "one that is lost"

    def each(self, function, shared, tasks):
        yield from [(place, function(shared, tasks[place])) for place in (4, 0)]
        raise EngineError("it is away")


def test_another_engine_takes_what_a_lost_one_leaves():
    warned: list[str] = []
    engine = WithFallback(Lost(), Here(one_thread=True), warned.append)
    assert [place for place, _ in engine.each(square, 0, range(6))] == [4, 0, 1, 2, 3, 5]
    assert warned == ["it is away; 4 of 6 tasks run on the host of the run"]
    assert dict(engine.each(square, 0, range(3))) == {0: 0, 1: 1, 2: 4}
    assert len(warned) == 1


def test_no_more_local_processes_than_processors(monkeypatch):
    monkeypatch.setattr(joblib, "effective_n_jobs", lambda count: 2)
    assert local(-1) == local(2) == local(9) == Processes(2)
    assert local(0) == local(1) == Here(one_thread=True)
    monkeypatch.setattr(joblib, "effective_n_jobs", lambda count: 1)
    assert local(-1) == local(4) == Here(one_thread=True)


def test_no_part_of_a_model_starts_threads_of_its_own():
    from sklearn.ensemble import RandomForestRegressor, VotingRegressor  # local processes import this file too
    from sklearn.linear_model import Ridge

    forest = RandomForestRegressor(n_jobs=-1)
    model = with_one_thread(VotingRegressor([("forest", forest), ("ridge", Ridge())], n_jobs=2))
    assert (model.n_jobs, model.get_params()["forest__n_jobs"], forest.n_jobs) == (1, 1, -1)
