"""What a warm process imports, and whether that is still what stands on the disk."""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

_LIBRARIES = (
    *("dagster._cli.api", "dagster.components", "alembic.command", "sqlalchemy.dialects.sqlite"),
    *("numpy", "pandas", "pyarrow.parquet", "scipy.stats", "matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("sklearn.compose", "sklearn.dummy", "sklearn.ensemble", "sklearn.inspection", "sklearn.linear_model"),
    *("sklearn.model_selection", "sklearn.pipeline", "sklearn.preprocessing", "skops.io", "great_expectations"),
    *("mlflow.sklearn", "mlflow.store.tracking.sqlalchemy_store", "mlflow.store.model_registry.sqlalchemy_store"),
)
"""What the steps of the pack import; each brings many more."""

Seen = dict[str, tuple[int, int]]
"""When a file or folder was changed, in nanoseconds, and its size in bytes, by path."""


def preload(names: Sequence[str]) -> list[str]:
    """Import libraries, the pack, Dagster's packages, and `names`; return a line for each that cannot be imported."""
    failed = []
    for name in [*_LIBRARIES, *_modules_of_the_pack(), *_component_packages(), *names]:
        try:
            importlib.import_module(name)
        except Exception as error:  # a library may raise anything
            failed.append(f"{name} is not preloaded: {type(error).__name__}: {error}")
    gc.collect()
    gc.freeze()  # a collection in a run must not touch, and so copy, what it shares with the warm process
    return failed


def _modules_of_the_pack() -> list[str]:
    names = [module.name for module in pkgutil.walk_packages([str(Path(__file__).parents[1])], "mlops_assets.")]
    return [name for name in names if not name.startswith(("mlops_assets.cli", "mlops_assets.launcher"))]


def _component_packages() -> list[str]:
    """Return Dagster's packages that register components: each load of a `defs` folder imports all of them."""
    values = [point.value for point in entry_points(group="dagster_dg_cli.registry_modules")]
    return [value for value in values if value.startswith("dagster_")]


def files_of_modules() -> Seen:
    """Return the state of each file that was imported, and of the folders in which packages are installed."""
    files = {file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))}
    folders = {folder for folder in sys.path if folder.endswith(("site-packages", "dist-packages"))}
    return {path: _state(path) for path in files | folders}


def changed_file(seen: Seen) -> str | None:
    """Return one path whose state is another one than it was; None if all are as they were."""
    return next((path for path, state in seen.items() if _state(path) != state), None)


def _state(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size
