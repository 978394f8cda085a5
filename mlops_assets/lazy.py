"""Packages that take up to seconds to import: each is imported when one of its names is first used.

`from mlops_assets.lazy import scipy, sklearn` at the top of a file costs nothing. The first
`sklearn.pipeline.Pipeline` imports `sklearn.pipeline`. A type checker sees the packages themselves.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mlops_assets.uncollected import uncollected

if TYPE_CHECKING:
    import deltalake as deltalake
    import deltalake.exceptions
    import jinja2 as jinja2
    import jinja2.defaults
    import jinja2.nativetypes
    import jinja2.nodes
    import jinja2.sandbox
    import joblib
    import matplotlib as matplotlib
    import matplotlib.backends.backend_agg
    import matplotlib.dates
    import matplotlib.figure
    import matplotlib.layout_engine
    import numpy as np
    import optuna
    import pandas as pd
    import pyarrow as pa
    import scipy
    import sklearn
    import sqlalchemy as sa
    import threadpoolctl

__all__ = [
    "deltalake",
    "jinja2",
    "joblib",
    "matplotlib",
    "np",
    "optuna",
    "pa",
    "pd",
    "sa",
    "scipy",
    "sklearn",
    "threadpoolctl",
]


class LazyModule(ModuleType):
    """A stand-in for a module: each attribute is the module's own attribute or its submodule, at any depth."""

    def __getattr__(self, name: str) -> Any:
        """Import the module and return its attribute or its submodule of that name."""
        module = sys.modules.get(self.__name__) or _imported(self.__name__)
        try:
            value = getattr(module, name)
        except AttributeError:
            submodule = f"{self.__name__}.{name}"
            if name.startswith("_") or not hasattr(module, "__path__") or find_spec(submodule) is None:
                raise
            value = _imported(submodule)
        # A package may not have imported its own submodules yet, as matplotlib.backends has not.
        if not isinstance(value, ModuleType):
            return value
        with uncollected:  # MLflow has stand-ins of its own, which this question makes import their module
            return LazyModule(value.__name__) if hasattr(value, "__path__") else value


def _imported(name: str) -> ModuleType:
    with uncollected:
        return import_module(name)


if not TYPE_CHECKING:
    _PACKAGES = {"np": "numpy", "pa": "pyarrow", "pd": "pandas", "sa": "sqlalchemy"}
    globals().update({name: LazyModule(_PACKAGES.get(name, name)) for name in __all__})
