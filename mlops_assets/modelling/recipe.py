"""What a version was fitted from besides its rows: parameters, declared fields, code, packages, machine."""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from types import CodeType
from typing import Any

from mlops_assets.errors import TrainingError
from mlops_assets.lazy import threadpoolctl
from mlops_assets.modelling.fitting.parameter_names import params_of

PACKAGES = ("scikit-learn", "numpy", "scipy", "pandas", "pyarrow", "skops", "mlflow", "dagster", "mlops-assets")

NO_LITERAL = (ValueError, SyntaxError, TypeError, MemoryError, RecursionError)
"""What `ast.literal_eval` raises for a text that is not a literal."""

_CONSTANTS = (int, float, complex, str, bytes, tuple, frozenset)
_NOT_FINITE = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All values are texts as `text_of` gives them, so that two recipes can be compared, kept and shown.

    `given`: parameters that the estimator was built with. `found`: those that a search chose in their place. `fields`:
    the declaration. `code`: for each field that is a function, its parts and a digest of each. `rows`: a digest of the
    rows by role, as they were read.
    """

    given: Mapping[str, str] = field(default_factory=dict)
    found: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    rows: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """16 hex digits that name the recipe."""
        return digest_of(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """Return the inverse of `to_dict`; fields that a later release added are left out."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})


def digest_of(values: Mapping[str, Any]) -> str:
    """Return 16 hex digits of a recipe in its stored form."""
    return _short(json.dumps(values, sort_keys=True))


def text_of(value: Any) -> str:
    """Return a value as Python writes it, without addresses in memory; a function or class by its dotted name."""
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{getattr(value, '__module__', None) or 'builtins'}.{value.__qualname__}"
    if type(value).__module__ == "numpy" and getattr(value, "shape", None) == ():
        value = value.item()
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def restored(texts: Mapping[str, str], known: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return the values of `texts`: one of `known[name]` with this text, else the text as a Python literal.

    Nothing is executed. `TrainingError` names a value that is neither.
    """
    return {name: _restored(name, text, known.get(name, ())) for name, text in texts.items()}


def _restored(name: str, text: str, known: Sequence[Any]) -> Any:
    for value in known:
        if text_of(value) == text:
            return value
    if text in _NOT_FINITE:
        return _NOT_FINITE[text]
    try:
        return ast.literal_eval(text)
    except NO_LITERAL:
        raise TrainingError(
            f"{name} was {text[:80]}, which only the recorded declaration can give: check out its code to fit it again"
        ) from None


def code_of(function: Any) -> dict[str, str]:
    """Return digests of a function, of functions of its package that it calls, and of their constants.

    Empty if it has no source in Python.
    """
    digests: dict[str, str] = {}
    _collect(inspect.unwrap(function), digests)
    return digests


def _collect(function: Callable[..., Any], digests: dict[str, str]) -> None:
    try:
        digests[text_of(function)] = _short(inspect.getsource(function))
    except (OSError, TypeError):
        return
    code = getattr(function, "__code__", None)
    for name in sorted(set(_names(code))) if code else ():
        used = getattr(function, "__globals__", {}).get(name)
        if inspect.isfunction(used):
            same = used.__module__.partition(".")[0] == function.__module__.partition(".")[0]
            if same and text_of(used) not in digests:
                _collect(used, digests)
        elif isinstance(used, _CONSTANTS):  # a mutable value, such as a list, may change: it is not part of the code
            value = sorted(map(repr, used)) if isinstance(used, frozenset) else used
            digests[f"{function.__module__}.{name}"] = _short(repr(value))


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names that a function uses, including those of its comprehensions and inner functions."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def packages_of(fitted: Any = None) -> dict[str, str]:
    """Return versions of Python, of `PACKAGES`, and of the packages that the classes of a fitted pipeline come from."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            versions[name] = installed(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    parts = [part for part in (fitted, *params_of(fitted).values()) if hasattr(part, "fit")]
    modules = {type(part).__module__.partition(".")[0] for part in parts}
    for module in sorted(modules - {"sklearn", "mlops_assets", "builtins", "__main__"}):
        version = getattr(sys.modules.get(module), "__version__", None)
        if version is not None and module not in versions:
            versions[module] = str(version)
    return versions


def machine() -> dict[str, str]:
    """Return what results may depend on beyond packages: processor, threads and BLAS; call it after a fit."""
    loaded = threadpoolctl.threadpool_info()
    blas = {
        " ".join(str(library.get(part)) for part in ("internal_api", "version", "architecture"))
        for library in loaded
        if library["user_api"] == "blas"
    }
    return {
        "processor": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "threads": str(max((library["num_threads"] for library in loaded), default=1)),
        "BLAS": ", ".join(sorted(blas)) or "none",
    }
