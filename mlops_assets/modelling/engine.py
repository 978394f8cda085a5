"""Where independent tasks run, such as the trials of a search: in this process, or in several at once.

The result of a task depends neither on where it runs nor on how many run at a time: each has one thread for linear
algebra and for OpenMP, as sums in another order differ in their last digit.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

from mlops_assets.errors import EngineError, MlopsAssetsError
from mlops_assets.lazy import joblib, sklearn, threadpoolctl
from mlops_assets.modelling.fitting.parameter_names import params_of
from mlops_assets.text import reason

Function: TypeAlias = Callable[[Any, Any], Any]
"""A function of a module, called with what all tasks share and with one task."""

Results: TypeAlias = Iterator[tuple[int, Any]]
"""The position of a task and its result; an `EngineError` as a result if the task ends each process that runs it."""

_Model = TypeVar("_Model")


class Engine(Protocol):
    """Runs tasks that do not depend on each other."""

    @property
    def name(self) -> str:
        """The name of the engine, as people read it."""

    @property
    def one_thread(self) -> bool:
        """Whether each task has a single thread."""

    @property
    def at_once(self) -> int:
        """How many tasks run at a time."""

    def each(self, function: Function, shared: Any, tasks: Sequence[Any]) -> Results:
        """Run all tasks; yield each result when its task ends, in any order.

        What a task raises as `MlopsAssetsError` is raised. Raises `EngineError` if the engine does not answer.
        """


@dataclass(frozen=True)
class Here:
    """Runs one task after another in this process: with all its threads, or with `one_thread` each."""

    one_thread: bool = False
    name: str = "the process of the run"
    at_once: ClassVar[int] = 1

    def each(self, function: Function, shared: Any, tasks: Sequence[Any]) -> Results:
        """See `Engine`."""
        run = in_one_thread if self.one_thread else _as_it_is
        for place, task in enumerate(tasks):
            yield place, run(function, shared, task)


HERE = Here()
"""The process itself, for work that nobody gave another engine."""


@dataclass(frozen=True)
class Processes:
    """Runs at most `workers` tasks at once (-1: one for each processor) by a backend of joblib: local processes.

    If a process is killed, joblib ends the others: the tasks that were under way are run again. A task that ends each
    of its processes, such as one that needs more memory than there is, becomes an `EngineError`.
    """

    workers: int = -1
    backend: str = "loky"
    one_thread: bool = True

    @property
    def name(self) -> str:
        """See `Engine`."""
        return f"{self.workers} local processes" if self.backend == "loky" else f"joblib's backend {self.backend!r}"

    @property
    def at_once(self) -> int:
        """See `Engine`."""
        with joblib.parallel_config(backend=self.backend):
            return int(joblib.effective_n_jobs(self.workers))

    def each(self, function: Function, shared: Any, tasks: Sequence[Any]) -> Results:
        """See `Engine`."""
        left = dict(enumerate(tasks))
        while left:
            before = len(left)
            try:
                for place, result in self._run(function, shared, left, self.workers):
                    del left[place]
                    yield place, result
            except BrokenExecutor:  # a process was killed
                if len(left) == before:
                    yield from self._one_by_one(function, shared, left)
                    return

    def _one_by_one(self, function: Function, shared: Any, tasks: dict[int, Any]) -> Results:
        """Run each task with no other beside it, which tells the one that ends its process."""
        for place, task in tasks.items():
            try:
                # Two workers, of which one idles: with one, joblib would run the task in this process.
                yield from self._run(function, shared, {place: task}, 2)
            except BrokenExecutor:  # a process was killed
                yield place, EngineError("it ended each process that ran it, as for want of memory")

    def _run(self, function: Function, shared: Any, tasks: dict[int, Any], workers: int) -> Results:
        with joblib.parallel_config(backend=self.backend):
            # Ray's backend gives all results at the end.
            as_they_end = joblib.parallel.get_active_backend()[0].supports_return_generator
            parallel = joblib.Parallel(n_jobs=workers, return_as="generator_unordered" if as_they_end else "list")
        parent = os.getpid() if self.backend == "loky" else None
        calls = (joblib.delayed(_placed)(parent, place, function, shared, task) for place, task in list(tasks.items()))
        try:
            yield from parallel(calls)
        except (MlopsAssetsError, BrokenExecutor):
            raise
        except Exception as error:  # an engine may fail in any way
            raise EngineError(f"the engine {self.backend!r} failed: {reason(error)}") from error


@dataclass
class WithFallback:
    """Runs tasks by the engine `first`; those that it leaves, once it does not answer, by `second`.

    `warn` is called with the reason.
    """

    first: Engine
    second: Engine
    warn: Callable[[str], None]
    one_thread: bool = True
    lost: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        """See `Engine`."""
        return self.first.name

    @property
    def at_once(self) -> int:
        """See `Engine`."""
        return (self.second if self.lost else self.first).at_once

    def each(self, function: Function, shared: Any, tasks: Sequence[Any]) -> Results:
        """See `Engine`."""
        left = dict(enumerate(tasks))
        if not self.lost:
            try:
                for place, result in self.first.each(function, shared, tasks):
                    del left[place]
                    yield place, result
                return
            except EngineError as error:
                self.lost = True
                self.warn(f"{error}; {len(left)} of {len(tasks)} tasks run on the host of the run")
        places = list(left)
        for place, result in self.second.each(function, shared, list(left.values())):
            yield places[place], result


def local(workers: int) -> Engine:
    """Return an engine of `workers` local processes (-1: one for each processor), and no more than processors.

    With 0 or 1, or where no process can be started, tasks run one after another in this process.
    """
    with joblib.parallel_config(backend="loky"):
        possible = joblib.effective_n_jobs(-1)
    count = possible if workers < 0 else min(workers, possible)
    return Processes(count) if count > 1 else Here(one_thread=True)


def in_one_thread(function: Function, shared: Any, task: Any) -> Any:
    """Call the function; meanwhile linear algebra, OpenMP and joblib have one thread.

    A fitted forest with `n_jobs` would add up its trees in the order in which its threads end.
    """
    with threadpoolctl.threadpool_limits(limits=1), joblib.parallel_config(backend="sequential"):
        return function(shared, task)


def with_one_thread(model: _Model) -> _Model:
    """Return an unfitted copy of a model, of which no part starts threads or processes of its own."""
    copy: _Model = sklearn.base.clone(model)
    for part in [copy, *params_of(copy).values()]:
        if hasattr(part, "get_params") and not isinstance(part, type):
            if type(part).__module__.startswith("catboost."):  # it names only the parameters that are set
                part.set_params(thread_count=1)
            elif "n_jobs" in part.get_params(deep=False):
                part.set_params(n_jobs=1)
    return copy


def _as_it_is(function: Function, shared: Any, task: Any) -> Any:
    return function(shared, task)


def _placed(parent: int | None, place: int, function: Function, shared: Any, task: Any) -> tuple[int, Any]:
    if parent is not None:
        _end_with(parent)
    return place, in_one_thread(function, shared, task)


@cache
def _end_with(parent: int) -> None:
    """End this process soon after its parent: of a run that was killed, nothing goes on."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
