"""A training in a process of its own: `python one_training.py HOME MODEL [--params JSON] [--die before|after]`.

The process ends itself with SIGKILL right before or after the alias is set. Exit code 0 for a run that succeeded.
"""

import argparse
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from mlops_assets.resources.mlflow.registry import MlflowRegistry
from support.deployment import Deployment

DECLARED: dict[str, dict[str, Any]] = {
    "ridge": {},
    "forest": {
        "estimator": "sklearn.ensemble.RandomForestRegressor",
        "params": {"n_estimators": 10},
        "seed": 3,
    },
}
"""Declarations by the name of their model; a test process and this one must declare alike."""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("home", type=Path)
    parser.add_argument("model", choices=DECLARED)
    parser.add_argument("--params", type=json.loads, default={})
    parser.add_argument("--die", choices=("before", "after"))
    asked = parser.parse_args()
    if asked.die:
        die_at_promotion(asked.die)
    model = Deployment(asked.home).model(asked.model, **DECLARED[asked.model])
    return 0 if model.train(**asked.params).success else 1


def die_at_promotion(when: str) -> None:
    """Replace the setting of the alias by one that a SIGKILL precedes or follows."""
    set_champion = MlflowRegistry.set_champion

    def killed(registry: MlflowRegistry, model: str, number: int) -> None:
        if when == "after":
            set_champion(registry, model, number)
        os.kill(os.getpid(), signal.SIGKILL)

    MlflowRegistry.set_champion = killed


if __name__ == "__main__":
    sys.exit(main())
