"""Copies an object to a temporary file, so that it is read in one state, as often and in any order as is needed."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from typing import Any

from mlops_assets.errors import SourceError, SourceUnavailableError
from mlops_assets.lazy import pa
from mlops_assets.sources.object_store import answer, opened_store

_PART = 8 << 20
_PART_SECONDS = 60.0
_STATE = ("ETag", "Content-Length", "Last-Modified")


def copied(url: str, path: str, ends: float, check_size: Callable[[int], None]) -> io.RawIOBase:
    """Return the copy of an object, which is gone once it is closed; `check_size` raises for what is not to be copied.

    Nothing more is copied once `ends`, a time of the monotonic clock, is over: who reads the copy asks for the time.
    SourceError where there is no such object, SourceUnavailableError where it is replaced meanwhile.
    """
    store, _ = opened_store(url)
    try:
        with _opened(url, store, path) as source:
            before = _state(source)
            check_size(source.size())
            copy: Any = _temporary()
            try:
                while time.monotonic() < ends and (part := answer(url, lambda: source.read(_PART), _PART_SECONDS)):
                    _append(copy, part)
                with _opened(url, store, path) as again:
                    after = _state(again)
                if before != after:
                    raise SourceUnavailableError("was replaced while it was read; it is read again at the next attempt")
                copy.seek(0)
                return copy  # type: ignore[no-any-return]
            except BaseException:
                copy.close()
                raise
    except FileNotFoundError:
        raise SourceError("cannot be opened (there is no such object); it was there before. Put it back") from None


def _opened(url: str, store: pa.fs.FileSystem, path: str) -> pa.NativeFile:
    return answer(url, lambda: store.open_input_file(path))


def _state(source: pa.NativeFile) -> dict[str, Any]:
    """Return what differs between an object and the one that replaces it."""
    metadata = source.metadata() or {}
    return {"size": source.size(), **{name: metadata.get(name) for name in _STATE}}


def _temporary() -> Any:
    try:
        return tempfile.TemporaryFile(buffering=0)
    except OSError as problem:
        raise _no_space(problem) from None


def _append(copy: Any, part: bytes) -> None:
    view = memoryview(part)
    try:
        while view:
            view = view[copy.write(view) :]
    except OSError as problem:
        raise _no_space(problem) from None


def _no_space(problem: OSError) -> SourceUnavailableError:
    return SourceUnavailableError(
        f"cannot be copied to the folder for temporary files, {tempfile.gettempdir()!r:.120} ({problem.strerror}). "
        "Make room there, or set the environment variable TMPDIR"
    )
