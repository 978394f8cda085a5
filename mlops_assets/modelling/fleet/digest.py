"""The digest of a fitted estimator: the same for the same numbers, before it is stored and after it is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from mlops_assets.lazy import np


def digest_of_estimator(estimator: Any) -> str:
    """Return a SHA-256 in hex over the types and values of all that an estimator holds.

    Bytes of a pickle would not do: they depend on which equal objects are one and on how an array lies in memory.
    """
    total = hashlib.sha256()
    for part in _parts(estimator, ()):
        total.update(part)
    return total.hexdigest()


def _parts(value: Any, within: tuple[int, ...]) -> Iterator[bytes]:
    """Yield what tells a value from others; `within` are the identities of the objects that hold it."""
    if id(value) in within:
        yield b"<cycle>"
    elif isinstance(value, np.generic):
        yield from _parts(value.item() if value.dtype.names is None else np.array(value), within)
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes):
        yield f"{type(value).__name__}:{value!r};".encode()
    elif isinstance(value, np.dtype):
        yield f"dtype:{value.descr};".encode()
    elif isinstance(value, np.ndarray) and value.dtype.kind != "O":
        yield f"array:{value.dtype.descr}:{value.shape};".encode()
        yield np.ascontiguousarray(value).tobytes()
    elif isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        yield f"name:{value.__module__}.{value.__qualname__};".encode()
    else:
        yield f"{type(value).__module__}.{type(value).__qualname__}(".encode()
        for item in _items(value):
            yield from _parts(item, (*within, id(value)))
        yield b")"


def _items(value: Any) -> list[Any]:
    """Return what an object holds, in an order that depends on its values alone."""
    if isinstance(value, dict):
        return [part for key in sorted(value, key=repr) for part in (key, value[key])]
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, list | tuple):
        return list(value)
    if isinstance(value, np.ndarray):
        return [list(value.shape), *value.ravel()]
    _, arguments, *state = value.__reduce_ex__(4)
    return [arguments, *(part if not isinstance(part, Iterator) else list(part) for part in state)]
