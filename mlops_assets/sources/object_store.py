"""Calls of an object store: each ends within some seconds, and what it raises is a `SourceUnavailableError`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from mlops_assets.background_call import BackgroundCall
from mlops_assets.errors import MlopsAssetsError, SourceUnavailableError
from mlops_assets.file_systems import cause, file_system
from mlops_assets.lazy import pa

ANSWER_SECONDS = 14.0
"""The longest that a call waits: a tick of a sensor goes on within 15 s. S3 is given up by its own client before."""

_SLOW_SECONDS = 5.0
"""A store that fails so late is left alone for the rest of a tick: other models may have their folders there."""

_ALONE_SECONDS = 20.0

_URL = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]+://[^/]*)/*(.*)", re.DOTALL)
_Answer = TypeVar("_Answer")
_silent: dict[str, tuple[BackgroundCall[Any], float]] = {}
"""The calls that had no answer in time, by store, and when they were given up."""


def divided_url(url: str) -> tuple[str, str]:
    """Return `s3://bucket` and what follows; two empty texts where there is no `//`. A glob is no URL: `?` is in it."""
    parts = _URL.fullmatch(url)
    return (parts.group(1), parts.group(2)) if parts else ("", "")


def opened_store(url: str) -> tuple[pa.fs.FileSystem, str]:
    """Return the file system of a glob on an object store, and the glob as a path in it; contact no server."""
    place, glob = divided_url(url)
    try:
        store, bucket = file_system(place)
    except MlopsAssetsError as problem:
        raise SourceUnavailableError(str(problem)) from None
    return store, f"{bucket}/{glob}"


def answer(url: str, call: Callable[[], _Answer], seconds: float = ANSWER_SECONDS) -> _Answer:
    """Return what a call of a store returns; `FileNotFoundError` is left as it is.

    The client of Azure has no limit of time, so each call has a thread, which is left alone when it is late.
    """
    place = divided_url(url)[0]
    _leave_alone(place)
    began, asked = time.monotonic(), BackgroundCall(call)
    if not asked.ended(seconds):
        _silent[place] = asked, time.monotonic()
        raise SourceUnavailableError(
            f"{place} did not answer within {seconds:.0f} s. Check its address and the network, or give it "
            "less to list; nothing was read"
        )
    try:
        return asked.result()
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as problem:
        if time.monotonic() - began > _SLOW_SECONDS:
            _silent[place] = asked, time.monotonic()
        raise SourceUnavailableError(f"{place} does not give it: {cause(problem)}. Nothing was read") from None


def _leave_alone(place: str) -> None:
    """Raise where a store gave no answer just before, or a call that was given up still waits for one."""
    if place in _silent:
        asked, given_up = _silent[place]
        if not asked.ended() or time.monotonic() - given_up < _ALONE_SECONDS:
            raise SourceUnavailableError(f"{place} did not answer just before; it is asked again at a later look")
        del _silent[place]
