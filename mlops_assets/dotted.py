"""Dotted names ("package.module:name") and what they refer to."""

import importlib
import importlib.util
import inspect
import pkgutil
from typing import Any

from mlops_assets.callables import EXPECTED, refuse_foreign, refuse_standard_library
from mlops_assets.errors import DeclarationError
from mlops_assets.text import did_you_mean, reason, shown
from mlops_assets.uncollected import uncollected


def resolve(dotted: str) -> Any:
    """Import and return what a dotted name ("package.module.Name" or "package.module:Name") refers to.

    Raise `DeclarationError` that names the missing part and the nearest existing name.
    """
    parent, *parts = _parts(dotted)
    value = _import(parent, dotted)
    for part in parts:
        name = f"{parent}.{part}"
        if hasattr(value, part):
            value = getattr(value, part)
        elif inspect.ismodule(value) and _is_module(name):
            value = _import(name, dotted)
        else:
            raise DeclarationError(f"{shown(dotted)}: {parent} has no {part!r}. {did_you_mean(part, _names(value))}")
        parent = name
    return value


def called(dotted: str, field: str) -> Any:
    """Return what a dotted name refers to, if a field of this kind (`EXPECTED`) may call it.

    Nothing of the standard library is imported. Raise `DeclarationError` for anything else.
    """
    refuse_standard_library(dotted, field)
    value = resolve(dotted)
    if not callable(value):
        raise DeclarationError(f"{shown(dotted)} is a {type(value).__name__}; expected {EXPECTED[field]}.")
    refuse_foreign(value, dotted, field)
    return value


def refuse_unknown_package(dotted: str) -> None:
    """Raise `DeclarationError` if the name is not dotted or its package is not installed; nothing is imported."""
    package = _parts(dotted)[0]
    if not _is_module(package):
        raise DeclarationError(f"{shown(dotted)}: {_no_module(package)}")


def _parts(dotted: str) -> list[str]:
    path = dotted.replace(":", ".").split(".")
    if len(path) < 2 or not all(part.isidentifier() for part in path):
        raise DeclarationError(f"{shown(dotted)} is not a dotted name; expected e.g. 'sklearn.linear_model.Ridge'.")
    return path


def _import(module: str, dotted: str) -> Any:
    try:
        with uncollected:
            return importlib.import_module(module)
    except Exception as error:  # an import runs the module's own code
        fault = f"importing {module} failed: {reason(error)}."
        if isinstance(error, ModuleNotFoundError) and error.name == module:
            fault = _no_module(module)
        raise DeclarationError(f"{shown(dotted)}: {fault}") from error


def _no_module(name: str) -> str:
    return f"there is no module {name!r}. Install it, or correct the name."


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ModuleNotFoundError, ValueError):  # ValueError: a module that was run as a program has no spec
        return False


def _names(value: Any) -> list[str]:
    modules = [info.name for info in pkgutil.iter_modules(getattr(value, "__path__", []))]
    return [name for name in [*dir(value), *modules] if not name.startswith("_")]
