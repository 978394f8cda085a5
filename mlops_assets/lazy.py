"""Packages that take up to seconds to import: each is imported when one of its names is first used.

`from mlops_assets.lazy import scipy, sklearn` at the top of a file costs nothing. The first
`sklearn.pipeline.Pipeline` imports `sklearn.pipeline`. A type checker sees the packages themselves.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jinja2 as jinja2
    import jinja2.defaults
    import jinja2.nativetypes
    import jinja2.nodes
    import jinja2.sandbox
    import joblib as joblib
    import matplotlib as matplotlib
    import matplotlib.backends.backend_agg
    import matplotlib.dates
    import matplotlib.figure
    import matplotlib.layout_engine
    import numpy as np
    import optuna as optuna
    import pandas as pd
    import pyarrow as pa
    import scipy as scipy
    import sklearn as sklearn
    import sqlalchemy as sa
    import threadpoolctl as threadpoolctl

__all__ = ["jinja2", "joblib", "matplotlib", "np", "optuna", "pa", "pd", "sa", "scipy", "sklearn", "threadpoolctl"]


class LazyModule(ModuleType):
    """A stand-in for a module: each attribute is the module's own attribute or its submodule, at any depth."""

    def __getattr__(self, name: str) -> Any:
        """Import the module and return its attribute or its submodule of that name."""
        module = sys.modules.get(self.__name__) or import_module(self.__name__)
        try:
            found = getattr(module, name)
        except AttributeError:
            submodule = f"{self.__name__}.{name}"
            if name.startswith("_") or not hasattr(module, "__path__") or find_spec(submodule) is None:
                raise
            found = import_module(submodule)
        # A package may not have imported its own submodules yet, as matplotlib.backends has not.
        is_package = isinstance(found, ModuleType) and hasattr(found, "__path__")
        return LazyModule(found.__name__) if is_package else found


if not TYPE_CHECKING:
    jinja2 = LazyModule("jinja2")
    joblib = LazyModule("joblib")
    matplotlib = LazyModule("matplotlib")
    np = LazyModule("numpy")
    optuna = LazyModule("optuna")
    pa = LazyModule("pyarrow")
    pd = LazyModule("pandas")
    scipy = LazyModule("scipy")
    sa = LazyModule("sqlalchemy")
    sklearn = LazyModule("sklearn")
    threadpoolctl = LazyModule("threadpoolctl")
