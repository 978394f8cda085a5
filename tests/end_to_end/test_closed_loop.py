"""The loop left to itself: Dagster's daemon and a code server run, batches land as files, and nobody does a thing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.deployment import REPOSITORY

pytestmark = pytest.mark.slow
DATA = Path(os.environ.get("MLOPS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the examples' data is not there: {DATA} (set MLOPS_TEST_DATA to its folder)"
)


def lives(home: Path, *models: str) -> list[dict]:
    """What `benchmarks/closed_loop.py` tells of these models."""
    figures = home / "figures.json"
    told = ["--home", str(home / "loop"), "--json", str(figures), "--rivals", "bike_demand"]
    told += ["--pages", "never"]  # rivals and pages take minutes of the processor; pages have tests of their own
    program = [sys.executable, "benchmarks/closed_loop.py", *models, *told]
    done = subprocess.run(program, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=3_000)
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-4_000:]
    return json.loads(figures.read_text())["whole"]


@needs_data
@pytest.mark.begun_first
def test_bike_demand_needs_no_hand(tmp_path):
    """The benchmark has the other examples too."""
    (bike,) = lives(tmp_path, "bike_demand")

    assert len(bike["batches"]) == 12 and bike["missing"] == []  # every month of 2012 is scored
    assert bike["failed"] == []
    assert bike["drift"] and bike["decay"]
    assert len(bike["champions"]) > 1 and len(set(bike["versions"])) > 1  # champions change, and the new ones score
    assert len(bike["fired"]) <= 8  # two thirds of retraining every month
    assert bike["loop"] <= 1.10 * bike["always"]
    assert bike["loop"] < 0.9 * bike["frozen"]
