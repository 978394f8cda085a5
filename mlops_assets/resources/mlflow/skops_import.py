"""Imports skops without its search of all loaded modules, which takes each scoring or training process a second."""

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from mlops_assets.uncollected import uncollected

_FIRST_SEARCHES = "skops.io._trusted_types"
_SEARCHES = "skops.io._utils"
_NUMERIC = {"numpy", "scipy"}
_OTHER_ARRAYS = tuple(f"sklearn.externals.array_api_compat.{name}" for name in ("cupy", "dask", "torch"))


def import_skops() -> ModuleType:
    """Return the module `skops.io`.

    At its import, skops searches all loaded modules for each of the 320 ufuncs of NumPy and SciPy: 1.6 CPU seconds
    where Dagster and MLflow are loaded. Here the modules of NumPy and SciPy, which hold them, are searched first.

    It also looks for estimators in all packages of scikit-learn, which has adapters to Dask, Torch and CuPy: they hold
    none, and would import these libraries where they are installed.
    """
    if "skops.io" in sys.modules:
        return sys.modules["skops.io"]
    finder = _BeforeTheSearch()
    sys.meta_path.insert(0, finder)
    try:
        with uncollected:
            return importlib.import_module("skops.io")
    finally:
        sys.meta_path.remove(finder)
        finder.undo()


class _BeforeTheSearch:
    """An import hook that finds no module, for while skops is imported.

    It replaces skops' search function before the module that calls it loads, and hides scikit-learn's adapters.
    """

    def __init__(self) -> None:
        self.undo: Callable[[], None] = lambda: None

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name in _OTHER_ARRAYS:
            raise ModuleNotFoundError(f"{name} is left out of the search for estimators", name=name)
        if name == _FIRST_SEARCHES and hasattr(sys.modules.get(_SEARCHES), "whichmodule"):
            utils = sys.modules[_SEARCHES]
            everywhere = utils.whichmodule
            vars(utils)["whichmodule"] = lambda obj, name: _numeric(obj, name) or everywhere(obj, name)
            self.undo = lambda: vars(utils).update(whichmodule=everywhere)


def _numeric(obj: Any, name: str) -> str | None:
    """Return the first loaded module of NumPy or SciPy that holds an object without a module of its own."""
    if getattr(obj, "__module__", None) is not None:
        return None
    numeric = ((key, module) for key, module in sys.modules.copy().items() if key.partition(".")[0] in _NUMERIC)
    return next((key for key, module in numeric if getattr(module, "__dict__", {}).get(name) is obj), None)
