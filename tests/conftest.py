"""What all tests share: nothing is sent home, plots need no display, files go to memory where there is room."""

import os
import shutil
from collections.abc import Iterator

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["DO_NOT_TRACK"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

# Each event of a run is synced to disk, which takes half of the time of a test that runs a job.
if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 4e9:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")


@pytest.fixture(autouse=True)
def nothing_left_of_an_instance() -> Iterator[None]:
    """Dagster keeps a storage of the instance entered last, and keeps it for good where one is entered twice.

    Definitions that a later test of the same process builds would then ask an instance that is gone.
    """
    from dagster._core.storage.defs_state.base import _current_storage

    yield
    _current_storage.set(None)
