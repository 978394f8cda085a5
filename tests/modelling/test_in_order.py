"""Chunks go to an engine some at a time: results keep their order, and few chunks are in memory."""

import joblib
import pytest

from mlops_assets.errors import EngineError
from mlops_assets.modelling.engine import Here, Processes, WithFallback
from mlops_assets.modelling.in_order import in_order

TWO = Processes(2)


def square(shared: int, task: int) -> int:
    return shared + task * task


def jobs(shared: None, task: int) -> int:
    return joblib.effective_n_jobs(-1)


class Backwards:
    """Gives the results of a round in the wrong order; notes the rounds."""

    one_thread, name, at_once = True, "one that is backwards", 3

    def __init__(self, fails_at: int = -1):
        self.rounds: list[list[int]] = []
        self.fails_at = fails_at

    def each(self, function, shared, tasks):
        self.rounds.append(list(tasks))
        for place in reversed(range(len(tasks))):
            died = tasks[place] == self.fails_at
            yield place, EngineError("it ended each process") if died else function(shared, tasks[place])


@pytest.mark.parametrize("engine", [Here(), Here(one_thread=True), TWO, Backwards(), WithFallback(TWO, Here(), print)])
def test_results_have_the_order_of_the_tasks(engine):
    assert list(in_order(engine, square, 1, range(8))) == [1 + task * task for task in range(8)]
    assert list(in_order(engine, square, 1, iter(()))) == []


def test_two_rounds_at_most_are_taken_ahead_of_what_was_used():
    engine, taken = Backwards(), []
    results = in_order(engine, square, 0, (taken.append(task) or task for task in range(100)))
    for used in range(100):
        assert next(results) == used * used
        assert len(taken) - used <= 6
    assert list(results) == []
    assert engine.rounds[:2] == [[0, 1, 2], [3, 4, 5]] and engine.rounds[-1] == [99]


def test_in_this_process_a_task_is_taken_when_the_one_before_was_used():
    taken = []
    for used, _ in enumerate(in_order(Here(), square, 0, (taken.append(task) or task for task in range(5)))):
        assert taken == list(range(used + 1))


def test_many_workers_do_not_take_more_into_memory(monkeypatch):
    engine, taken = Backwards(), []
    monkeypatch.setattr(Backwards, "at_once", 500)
    next(in_order(engine, square, 0, (taken.append(task) or task for task in range(100))))
    assert len(taken) == 32 and len(engine.rounds[0]) == 16


def test_a_task_that_ends_its_processes_is_named_by_its_number():
    with pytest.raises(EngineError, match="task 6: it ended each process"):
        list(in_order(Backwards(fails_at=5), square, 0, range(9)))


def test_an_error_of_the_tasks_themselves_is_raised():
    def broken():
        yield from range(4)
        raise ValueError("no more rows")

    with pytest.raises(ValueError, match="no more rows"):
        list(in_order(Backwards(), square, 0, broken()))


def test_joblib_starts_nothing_in_a_task_with_one_thread():
    for engine in (Here(one_thread=True), TWO):
        assert dict(engine.each(jobs, None, [0])) == {0: 1}


def test_the_second_engine_takes_what_is_left_of_a_round():
    class Lost(Backwards):
        def each(self, function, shared, tasks):
            if tasks[0] >= 3:
                yield 1, function(shared, tasks[1])
                raise EngineError("it is away")
            yield from super().each(function, shared, tasks)

    warned: list[str] = []
    engine = WithFallback(Lost(), Here(one_thread=True), warned.append)
    assert list(in_order(engine, square, 0, range(9))) == [task * task for task in range(9)]
    assert warned == ["it is away; 2 of 3 tasks run on the host of the run"]
    assert engine.at_once == 1
