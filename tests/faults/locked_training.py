"""A training with runs.db of Dagster locked for 8 s: `python locked_training.py HOME start_run|set_champion`.

The lock is taken right before that call of the registry. Exit code 0 for a run that succeeded.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

from locks import HOLDER

from mlops_assets.resources.mlflow.registry import MlflowRegistry
from support.deployment import Deployment

SECONDS = "8"


def lock_before(method: str, database: Path) -> None:
    """Replace a method of the registry by one that another process takes the lock before."""
    call = getattr(MlflowRegistry, method)

    def called(*given: Any, **named: Any) -> Any:
        holder = subprocess.Popen([sys.executable, str(HOLDER), str(database), SECONDS], stdout=subprocess.PIPE)
        print(holder.stdout.readline().decode(), flush=True)
        return call(*given, **named)

    setattr(MlflowRegistry, method, called)


if __name__ == "__main__":
    home = Path(sys.argv[1])
    model = Deployment(home).model("ridge")
    lock_before(sys.argv[2], home / "dagster" / "history" / "runs.db")
    sys.exit(0 if model.challenge(alpha=0.1).success else 1)
