"""Tasks on the workers of a Dask scheduler: what has ended is kept here, and what a killed worker had is run again."""

from __future__ import annotations

import queue
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from mlops_assets.background_call import BackgroundCall
from mlops_assets.errors import EngineError, MlopsAssetsError
from mlops_assets.lazy import joblib, threadpoolctl
from mlops_assets.modelling.engine import Function, Results
from mlops_assets.resources.lazy import distributed
from mlops_assets.text import reason

_PACKAGES = ("mlops-assets", "scikit-learn", "numpy", "scipy", "pandas")
_MOST_RESTARTS = 3
_LARGE = 1_000_000
"""Bytes from which a task goes to a worker by itself."""


@contextmanager
def dask_engine(address: str, workers: int, patience: float) -> Iterator[DaskEngine]:
    """Yield the engine of the scheduler at `address`; `EngineError` if it, or a worker, does not come in `patience`."""
    client: Any
    with _answering(address):
        connect: Any = partial(distributed.Client, address, timeout=patience, set_as_default=False, name="mlops_assets")
        client = _bounded(connect, patience)
    try:
        with _answering(address):
            _bounded(partial(client.wait_for_workers, 1, timeout=patience), patience)
        yield DaskEngine(client, address, workers, patience)
    finally:
        with suppress(Exception):  # a scheduler that is gone cannot be told
            client.close(timeout=2)


class DaskEngine:
    """Runs at most `workers` tasks at once (-1: as many as the scheduler places) on the workers of a Dask scheduler.

    What all tasks share is sent to the workers once. A task whose worker was killed is run by another worker; one that
    killed as many workers as Dask's `allowed-failures` becomes an `EngineError`. Without a result for `patience`
    seconds the scheduler is asked whether it lives and has workers.
    """

    one_thread = True

    def __init__(self, client: Any, address: str, workers: int, patience: float) -> None:
        self._client, self._address, self._workers, self._patience = client, address, workers, patience
        self._shared: tuple[Any, Any] = (None, None)
        self._lost_any = False
        self.name = f"Dask at {address}"

    @property
    def at_once(self) -> int:
        """See `Engine`."""
        if self._workers > 0:
            return self._workers
        with _answering(self._address):
            threads: dict[str, int] = _bounded(self._client.nthreads, self._patience, self._must_live)
        return max(1, sum(threads.values()))

    def each(self, function: Function, shared: Any, tasks: Sequence[Any]) -> Results:
        """See `Engine`."""
        left, restarts = dict(enumerate(tasks)), 0
        while left:
            lost: list[int] = []
            for place, result in self._run(function, shared, left, lost):
                del left[place]
                yield place, result
            if not left:
                return
            # All workers that held the data died: they are sent anew, to those that came in their place.
            restarts += 1
            if restarts > _MOST_RESTARTS:
                raise EngineError(f"the workers of the Dask scheduler {self._address} lost the data {restarts} times")
            self._shared, self._lost_any = (None, None), True

    def _run(self, function: Function, shared: Any, tasks: Mapping[int, Any], lost: list[int]) -> Results:
        """Yield results as they come; `lost` takes the tasks that the scheduler gave up as their data was gone."""
        ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        data, waiting = self._sent(shared), list(reversed(tasks))
        running: dict[int, Any] = {}

        def begin() -> None:
            place = waiting.pop()
            name = f"mlops_assets-{uuid.uuid4().hex}"
            task = self._task(tasks[place])
            future = self._client.submit(_run_task, function, data, task, _packages(), key=name, pure=False)
            running[place] = future
            future.add_done_callback(lambda _: ended.put(place))

        with _answering(self._address):
            while waiting and (self._workers < 0 or len(running) < self._workers):
                begin()
        while running:
            place = self._next(ended)
            outcome = self._outcome(running[place], place, ended)
            if outcome is None:
                continue
            del running[place]  # released: no worker's death has it computed once more
            with _answering(self._address):
                if waiting:
                    begin()
            if outcome == ("lost", None):
                lost.append(place)
            else:
                yield place, outcome[1]

    def _sent(self, shared: Any) -> Any:
        """Return what tasks share as it lies on all workers; it is sent where it was not sent before."""
        if self._shared[1] is None or self._shared[0] is not shared:
            # Once workers die, Dask may wait for ever for one of them to take its copy: then they copy from each other.
            sent = self._scattered(shared, broadcast=not self._lost_any, timeout=self._patience)
            self._shared = (shared, sent)
        return self._shared[1]

    def _task(self, task: Any) -> Any:
        """Return a task as it is, or as it lies on a worker if it is large: the scheduler keeps what it is given."""
        from dask.sizeof import sizeof

        if sizeof(task) < _LARGE:
            return task
        return self._scattered(task)

    def _scattered(self, data: Any, **how: Any) -> Any:
        """Return data as they lie on workers; they are sent anew where a worker dies while it takes them."""
        for attempts_left in reversed(range(1 + _MOST_RESTARTS)):
            try:
                send = partial(self._client.scatter, data, hash=False, **how)
                return _bounded(send, self._patience, self._must_live)
            except MlopsAssetsError:
                raise
            except Exception as error:
                self._must_live()
                if not attempts_left:
                    raise EngineError(
                        f"a worker of the Dask scheduler {self._address} could not take what it was sent: "
                        f"{reason(error)}. Workers need the packages of the run and the code of the project"
                    ) from error
        raise AssertionError("the last attempt returns or raises")

    def _next(self, ended: queue.SimpleQueue[int]) -> int:
        """Return the next task that ended; `EngineError` if the scheduler or all workers are gone meanwhile."""
        while True:
            try:
                return ended.get(timeout=self._patience)
            except queue.Empty:
                self._must_live()

    def _outcome(self, future: Any, place: int, ended: queue.SimpleQueue[int]) -> tuple[str, Any] | None:
        """Return the result of a task that ended; None if it runs again, as its worker died with the result."""
        error: Any = None
        try:
            return "done", future.result(timeout=self._patience)
        except TimeoutError:
            self._must_live()
            future.add_done_callback(lambda _: ended.put(place))
            return None
        except distributed.KilledWorker:
            return "done", EngineError("it ended each Dask worker that ran it, as for want of memory")
        except MlopsAssetsError:
            raise
        except (Exception, distributed.CancelledError) as raised:  # what a worker could not load, or a lost connection
            error = raised
        if isinstance(error, distributed.CancelledError):
            self._must_live()
            return "lost", None
        raise EngineError(f"a worker of the Dask scheduler {self._address} failed: {reason(error)}") from error

    def _must_live(self) -> None:
        with _answering(self._address):
            if self._client.status != "running":
                raise EngineError(f"the connection to the Dask scheduler {self._address} is lost")
            identity = self._client.sync(self._client.scheduler.identity, callback_timeout=self._patience)
            if not identity["workers"]:
                self._client.wait_for_workers(1, timeout=self._patience)


@contextmanager
def _answering(address: str) -> Iterator[None]:
    """Turn what Dask raises about a scheduler that does not answer into an `EngineError`."""
    try:
        yield
    except MlopsAssetsError:
        raise
    except Exception as error:
        raise EngineError(f"the Dask scheduler {address} does not answer, or has no worker: {reason(error)}") from error


def _bounded(call: Callable[[], Any], seconds: float, still: Callable[[], None] | None = None) -> Any:
    """Return what `call` returns, which may wait for ever: Dask reads a scheduler's greeting without a limit of time.

    After `seconds`, and again and again, `still` may raise; without it `TimeoutError` is raised.
    """
    answer = BackgroundCall(call)
    while not answer.ended(seconds):
        if still is None:
            raise TimeoutError(f"no answer in {seconds:g} s")
        still()
    return answer.result()


def _run_task(function: Callable[[Any, Any], Any], shared: Any, task: Any, packages: Mapping[str, str]) -> Any:
    """Run a task in a worker, which keeps to one thread from then on: several tasks may run in it at once."""
    for name, here in _packages().items():
        if here != packages[name]:
            raise RuntimeError(f"it has {name} {here}, the run {packages[name]}: results would differ")
    threadpoolctl.threadpool_limits(limits=1)
    with joblib.parallel_config(backend="sequential"):
        return function(shared, task)


@cache
def _packages() -> dict[str, str]:
    """Return the versions on which results depend."""
    versions = {"python": ".".join(map(str, sys.version_info[:2]))}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions
