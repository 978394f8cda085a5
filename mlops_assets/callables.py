"""Which callables a dotted name of a declaration may refer to: a name is text, and text may come from anybody."""

import importlib.util
import inspect
import sys
import sysconfig
from collections.abc import Callable
from functools import cache, partial
from importlib.machinery import ModuleSpec
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Literal

from mlops_assets.errors import DeclarationError
from mlops_assets.text import shown

Home = Literal["the standard library", "an installed package", "the project"]

EXPECTED = {
    "estimator": "a class with fit and predict, or a function of your own project that returns an estimator",
    "features": "a function of your own project: (batch, history) -> DataFrame",
    "expectations": "a function of your own project that returns expectations",
    "metric": "a function (y_true, y_pred) -> float of which less is better, or what make_scorer of sklearn.metrics "
    "makes of a function",
    "frame": "a function of your own project that returns a DataFrame or yields (key, DataFrame)",
    "source": "a class of your own that derives from mlops_assets.Source",
}
"""For each kind of field, what its dotted names may refer to."""


def refuse_standard_library(dotted: str, field: str) -> None:
    """Raise `DeclarationError` if a name belongs to Python's standard library, before anything is imported."""
    if _home_of_package(dotted.replace(":", ".").partition(".")[0]) == "the standard library":
        raise DeclarationError(_refusal(dotted, "is of Python's standard library", field))


def refuse_foreign(value: Any, dotted: str, field: str) -> None:
    """Raise `DeclarationError` if a callable is neither the project's own nor what the field expects.

    A callable belongs where it is defined: `own_module.subprocess.call` belongs to the standard library.
    A package is the project's if it is in no installation folder, or was installed from a file, folder or repository.
    An estimator may be a class with fit and predict, a metric a function of (y_true, ...) of any installed package.
    """
    home, kind = home_of(value), "class" if inspect.isclass(value) else "function"
    if home == "the standard library":
        raise DeclarationError(_refusal(dotted, f"is a {kind} of Python's standard library", field))
    if field == "estimator" and kind == "class":
        if not (hasattr(value, "fit") and hasattr(value, "predict")):
            raise DeclarationError(_refusal(dotted, "is a class without fit and predict", field))
    elif home == "an installed package" and not (field == "metric" and _takes_labels(value)):
        advice = " Call it in a function of your own, and name that."
        raise DeclarationError(_refusal(dotted, f"is a {kind} of an installed package", field) + advice)


def home_of(value: Any) -> Home:
    """Return where a callable is defined."""
    while isinstance(value, partial):
        value = value.func
    module = getattr(value, "__module__", None)
    if not isinstance(module, str):  # the method of a builtin type has no module
        module = type(getattr(value, "__self__", value)).__module__
    return _home_of_package(module.partition(".")[0])


def _refusal(dotted: str, what: str, field: str) -> str:
    return f"{shown(dotted)} {what}; expected {EXPECTED[field]}."


def _takes_labels(function: Callable[..., Any]) -> bool:
    """Return whether a function takes labels and predictions, as the functions of sklearn.metrics do."""
    try:
        names = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):  # some callables written in C have no signature
        return False
    return names[:1] == ["y_true"] and len(names) > 1 and names[1].startswith("y_")


@cache
def _home_of_package(package: str) -> Home:
    if package in sys.builtin_module_names:
        return "the standard library"
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):  # ValueError: a program that was run, or a module made in this process
        return "the project"
    folder = None if spec is None else _folder(spec)
    if spec is not None and (spec.origin in ("built-in", "frozen") or folder in _standard_folders()):
        return "the standard library"
    if package == "mlops_assets":
        return "an installed package"
    if folder is None or not any(folder.glob("*.dist-info")) or package in _installed_from_source(folder):
        return "the project"
    return "an installed package"


def _folder(spec: ModuleSpec) -> Path | None:
    """Return the folder that holds a top-level package or module."""
    place = next(iter(spec.submodule_search_locations or ()), spec.origin)
    return Path(place).parent if place else None


@cache
def _standard_folders() -> frozenset[Path]:
    folders = {Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}
    return frozenset(folders | {folder / "lib-dynload" for folder in folders})


@cache
def _installed_from_source(folder: Path) -> frozenset[str]:
    """Return the top-level packages in a folder that were installed from a file, folder or repository, not an index."""
    packages = (package for package in distributions(path=[str(folder)]) if package.read_text("direct_url.json"))
    files = (file for package in packages for file in package.files or () if file.parts)
    return frozenset(Path(file.parts[0]).stem for file in files)
