"""A call in a thread of its own, for clients of servers that may wait for minutes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class BackgroundCall(Generic[Result]):
    """Begins a call at once, in a thread that ends with the process: a call that is given up goes on alone."""

    def __init__(self, call: Callable[[], Result]) -> None:
        self._call = call
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="mlops_assets_call", daemon=True)
        self._thread.start()

    def ended(self, seconds: float = 0.0) -> bool:
        """Wait at most so long; return whether the call has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def result(self) -> Result:
        """Return what the call returned, or raise what it raised; the call must have ended."""
        if self._error is not None:
            raise self._error
        return self._results[0]

    def _run(self) -> None:
        try:
            self._results.append(self._call())
        except BaseException as error:  # raised again where the result is asked for
            self._error = error


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what a call returns, or raise what it raises; raise `TimeoutError` if it takes longer."""
    answer = BackgroundCall(call)
    if not answer.ended(seconds):
        raise TimeoutError(f"no answer within {seconds:g} s")
    return answer.result()
