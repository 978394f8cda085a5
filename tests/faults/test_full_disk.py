"""A full disk: the step fails, leaves no part of a file, and the champion stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.deployment import DeployedModel, Deployment, failed
from support.synthetic import rows

HERE = Path(__file__).parent

WITHIN_LIMIT = """
import resource, sys
from pathlib import Path
from support.deployment import why
from test_full_disk import ShortLogs, heavy
from support.synthetic import rows
model = heavy(ShortLogs(Path(sys.argv[1])))
model.ledger.all(), model.champion()  # what these import is written before the disk is full
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
result = model.take_in("b3") if sys.argv[2] == "batch" else model.challenge(max_features=1)
print(why(result))
"""


class ShortLogs(Deployment):
    """Dagster's own SQLite storage: the logs of connections that stay open grow to 4 MB, beyond the limit."""

    def settings(self) -> str:
        return super().settings().partition("\nstorage:")[0]


def heavy(deployment: Deployment) -> DeployedModel:
    """A model whose files are far larger than the databases."""
    params = {"n_estimators": 40}
    return deployment.model("heavy", estimator="sklearn.ensemble.RandomForestRegressor", params=params, seed=3)


@pytest.mark.slow
@pytest.mark.fault(33)
def test_a_full_disk_fails_batch_and_training_leaves_no_part_of_a_file_and_the_champion(tmp_path, mlflow_schema):
    """A limit on file size stands for a full disk: the kernel refuses the write half-way."""
    (tmp_path / "mlflow.db").write_bytes(mlflow_schema.read_bytes())
    model = heavy(ShortLogs(tmp_path))
    model.prepare(b1=rows(1, 400), b2=rows(2, 400))
    result = model.challenge()
    assert result.success, failed(result)
    model.land("b3", rows(3, 40_000))
    limit = max(path.stat().st_size for path in tmp_path.rglob("*.db")) + 200_000
    paths = os.pathsep.join([str(HERE), str(HERE.parent), str(HERE.parents[1])])
    for what in ("batch", "training"):
        before = set(files_below(tmp_path))
        done = subprocess.run(
            [sys.executable, "-c", WITHIN_LIMIT, str(tmp_path), what, str(limit)],
            env={**os.environ, "PYTHONPATH": paths, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "cannot be written: File too large. Look at space and rights" in done.stdout, done.stderr[-2_000:]
        left = [path for path in files_below(tmp_path) if path not in before and path.parent.name != "recipes"]
        assert left == []
        assert model.champion() == 1 and len(model.registry.versions("heavy")) == 1
    assert model.take_in("b3").success and len(model.predictions("b3")) == 40_000


def files_below(home: Path) -> list[Path]:
    """All files but those of Dagster and of SQLite itself."""
    found = (path for path in home.rglob("*") if path.is_file() and home / "dagster" not in path.parents)
    return [path for path in found if not path.name.endswith(("-wal", "-shm", "-journal"))]
