"""Reads from an object store at the same time: each waits for the network far longer than it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 8


def reads_in_order(
    read: Callable[[Item], Result], items: Iterable[Item], *, at_once: int = AT_ONCE
) -> Iterator[Result]:
    """Yield what `read` returns for each item, in their order; at most `at_once` are read, or wait, at a time.

    The first item that fails in order raises; the reads behind it that have not begun are left out.
    """
    if at_once < 2:
        yield from map(read, items)
        return
    left = iter(items)
    with ThreadPoolExecutor(at_once, thread_name_prefix="mlops_assets") as threads:
        waiting = [threads.submit(read, item) for item in islice(left, at_once)]
        try:
            while waiting:
                yield waiting.pop(0).result()
                waiting += [threads.submit(read, item) for item in islice(left, 1)]
        finally:
            for future in waiting:
                future.cancel()
