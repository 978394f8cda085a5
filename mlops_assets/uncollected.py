"""Imports and definitions without garbage collection, on which a run spent 1.5 of its 10 processor seconds."""

import gc
import threading

MANY = 10_000
"""The objects of an import that are worth setting aside, so that no later collection goes through them."""


class Uncollected:
    """Pauses Python's garbage collector while packages are imported, and sets aside `many` objects that they brought.

    The collector starts again and again while an import makes objects. It goes through all of them each time, and finds
    nothing, since modules stay. A collector that is off stays off; threads and imports within imports may overlap.
    Garbage that is there at the end of an import is set aside, too: who leaves rows in cycles collects them at once.
    """

    def __init__(self, many: int = MANY) -> None:
        self._many = many
        self._lock = threading.Lock()
        self._entered, self._was_on = 0, False

    def __enter__(self) -> None:
        with self._lock:
            if self._entered == 0 and (was_on := gc.isenabled()):
                self._was_on = was_on
                gc.disable()
            self._entered += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._entered -= 1
            if self._entered == 0 and self._was_on:
                self._was_on = False
                if gc.get_count()[0] > self._many:
                    gc.freeze()
                gc.enable()


uncollected = Uncollected()
kept = Uncollected(many=0)
"""For definitions of a code location, which are there until its process ends; each of 500 models is small."""
