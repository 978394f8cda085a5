"""Tasks that come one after another, such as chunks of rows: an engine runs some at once, results keep their order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any

from mlops_assets.errors import EngineError
from mlops_assets.modelling.engine import Engine, Function, Here

_MOST_AT_ONCE = 16
"""Tasks of a round, however many workers there are: so the memory of a run does not grow with them."""


def in_order(engine: Engine, function: Function, shared: Any, tasks: Iterable[Any]) -> Iterator[Any]:
    """Yield the result of each task in the order of the tasks, which are taken one after another.

    A round has a task for each worker. While it runs, the tasks of the next round are taken and the results of the
    round before are yielded; no more is in memory. Raises `EngineError` as `Engine.each`, and for a task that ends
    each process that runs it.
    """
    if isinstance(engine, Here):
        for task in tasks:
            yield from _round(engine, function, shared, [task], 0)
        return
    most, started = min(engine.at_once, _MOST_AT_ONCE), 0
    running: Future[list[Any]] | None = None
    waiting = iter(tasks)
    # One thread: a round begins when the round before has ended.
    with ThreadPoolExecutor(1, thread_name_prefix="mlops_assets") as thread:
        while part := list(islice(waiting, most)):
            following = thread.submit(_round, engine, function, shared, part, started)
            started += len(part)
            del part
            if running is not None:
                yield from running.result()
            running = following
        if running is not None:
            yield from running.result()


def _round(engine: Engine, function: Function, shared: Any, tasks: list[Any], first: int) -> list[Any]:
    results: dict[int, Any] = {}
    for place, result in engine.each(function, shared, tasks):
        if isinstance(result, EngineError):
            raise EngineError(f"task {first + place + 1}: {result}")
        results[place] = result
    return [results[place] for place in range(len(tasks))]
