"""Two trainings of one model at once, as real processes: the better model is champion at the end, whoever is first."""

import shutil
import subprocess
import sys

import pytest

from support import TESTS
from support.deployment import Deployment
from support.synthetic import rows

ONE_TRAINING = ("-m", "support.one_training")
POOR, GOOD = '{"alpha": 1e6}', '{"alpha": 0.1}'


@pytest.mark.promise(5)
@pytest.mark.fault(44)
@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(2))
def test_better_of_two_trainings_at_once_is_champion(attempt, tmp_path, mlflow_schema):
    shutil.copy(mlflow_schema, tmp_path / "mlflow.db")
    model = Deployment(tmp_path).model("ridge")
    model.prepare(b1=rows(1), b2=rows(2))
    order = (POOR, GOOD) if attempt % 2 else (GOOD, POOR)
    processes = [
        subprocess.Popen(
            [sys.executable, *ONE_TRAINING, str(tmp_path), "ridge", "--params", params],
            cwd=TESTS,
            stderr=subprocess.DEVNULL,
        )
        for params in order
    ]
    assert [process.wait(timeout=600) for process in processes] == [0, 0]
    versions = model.registry.versions("ridge")
    digests = {version.tags["declaration_version"] for version in versions}
    assert len(versions) == len(digests) == 2
    good = model.pipeline.model_copy(update={"params": {"alpha": 0.1}}).training_version
    assert model.registry.champion("ridge").tags["declaration_version"] == good
