"""Runs that begin at once: each is forked from a process that has imported the libraries already."""

from typing import TYPE_CHECKING

from mlops_assets.faces import face

if TYPE_CHECKING:
    from mlops_assets.launcher.run_launcher import WarmRunLauncher as WarmRunLauncher
    from mlops_assets.launcher.run_launcher import attend as attend
    from mlops_assets.launcher.run_launcher import process_of as process_of
    from mlops_assets.launcher.warm_place import WarmPlace as WarmPlace

_MODULES = {
    **dict.fromkeys(("WarmRunLauncher", "attend", "process_of"), "run_launcher"),
    "WarmPlace": "warm_place",
}
__all__ = sorted(_MODULES)
__getattr__ = face("mlops_assets.launcher", _MODULES)
