"""Runs that begin at once: each is forked from a process that has imported the libraries already."""

from typing import TYPE_CHECKING

from mlops_assets.faces import face

if TYPE_CHECKING:
    from mlops_assets.launcher.run_launcher import WarmRunLauncher as WarmRunLauncher

_MODULES = {"WarmRunLauncher": "run_launcher"}
__all__ = sorted(_MODULES)
__getattr__ = face("mlops_assets.launcher", _MODULES)
