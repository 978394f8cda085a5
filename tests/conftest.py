"""What all tests share: nothing is sent home, plots need no display, files go to memory where there is room."""

import gc
import os
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from support import sqlite_of_dagster

os.environ.setdefault("MPLBACKEND", "Agg")
os.environ["DO_NOT_TRACK"] = "1"
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

# Each event of a run is synced to disk, which takes half of the time of a test that runs a job.
if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 4e9:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", "/dev/shm")


LONG = {"docs", "end_to_end", "packaging"}
"""Folders whose files of tests take minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, or it would run alone at the end (with xdist's --no-loadscope-reorder)."""
    items.sort(key=lambda item: (item.get_closest_marker("begun_first") is None, LONG.isdisjoint(item.path.parts)))


def pytest_collection_finish() -> None:
    """What was imported stays: looking through it for garbage again and again took a tenth of the time of all tests."""
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)


@pytest.fixture(scope="module")
def states_of_generators(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The generators of a test module, by name, as importing it left them."""
    named = vars(request.module).items()
    return {name: value.bit_generator.state for name, value in named if isinstance(value, np.random.Generator)}


@pytest.fixture(autouse=True)
def a_generator_for_each_test(request: pytest.FixtureRequest, states_of_generators: dict[str, Any]) -> None:
    """A test draws the same whichever others ran before it."""
    for name, state in states_of_generators.items():
        getattr(request.module, name).bit_generator.state = state


@pytest.fixture(scope="session", autouse=True)
def faster_storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Runs in this process cost a third less."""
    with pytest.MonkeyPatch.context() as patch:
        sqlite_of_dagster.keep_engines(patch)
        sqlite_of_dagster.copy_event_logs(patch, tmp_path_factory.mktemp("template") / "event_log.db")
        yield


@pytest.fixture(scope="session", autouse=True)
def no_state_of_an_instance_that_is_gone() -> Iterator[None]:
    """Definitions keep no state here, so they need not ask an instance for it.

    Dagster finds that instance in a variable of the process, which a context of an earlier test puts back to the
    instance before whenever it happens to be collected: also when that one is gone, and then no definitions build.
    """
    from dagster._core.storage.defs_state.base import DefsStateStorage

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DefsStateStorage, "get", classmethod(lambda cls: None))
        yield
