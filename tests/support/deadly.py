"""Points at which the process of a training kills itself, once, if a file of that name stands in `kill/<model>/`."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from mlops_assets.assets.training import fit as training
from mlops_assets.resources.mlflow.registry import MlflowRegistry

POINTS = ("fitted", "registered", "before_alias", "after_alias")


def kill_if_armed(model: str, point: str) -> None:
    """Die as by `kill -9`, or wait to be killed; the file is removed before, so that the next run lives."""
    armed = Path(os.environ["MLOPS_ASSETS_HOME"], "kill", model, point)
    if armed.exists():
        waits = armed.read_text() == "wait"
        armed.unlink()
        if waits:
            time.sleep(600)
        os.kill(os.getpid(), signal.SIGKILL)


def arm() -> None:
    """Let the trainings of this process die where the files say so."""
    fit, register, set_champion = training._fitted, MlflowRegistry.register, MlflowRegistry.set_champion

    def deadly_fit(model: Any, *args: Any) -> Any:
        found = fit(model, *args)
        kill_if_armed(model.name, "fitted")
        return found

    def deadly_register(self: MlflowRegistry, model: str, *args: Any, **kwargs: Any) -> Any:
        made = register(self, model, *args, **kwargs)
        kill_if_armed(model, "registered")
        return made

    def deadly_set_champion(self: MlflowRegistry, model: str, number: int) -> None:
        kill_if_armed(model, "before_alias")
        set_champion(self, model, number)
        kill_if_armed(model, "after_alias")

    training._fitted = deadly_fit
    MlflowRegistry.register = deadly_register
    MlflowRegistry.set_champion = deadly_set_champion
