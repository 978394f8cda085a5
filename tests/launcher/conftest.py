"""Deployments whose runs are forked, with the settings of docs/how-to/warm-runs.md."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.launching import WITH_PRELOAD, Launching


@pytest.fixture(scope="module")
def launching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launching]:
    """A deployment that the tests of a module share."""
    made = Launching(tmp_path_factory.mktemp("launching"), LAUNCHER_TOLD="by the code server")
    yield made
    made.close()


class Launched:
    """Opens a deployment with settings of a test's own."""

    def __init__(self, home: Path) -> None:
        self.home, self._opened = home, []

    def open(self, preload: str = "lightgbm, optuna", at_port: int | None = None) -> Launching:
        """See `Launching`; with the settings of the page, where other modules stand for those that it preloads."""
        settings = WITH_PRELOAD.replace("lightgbm, optuna", preload)
        self._opened.append(Launching(self.home, settings, at_port))
        return self._opened[-1]

    def close(self) -> None:
        """End all processes."""
        for made in self._opened:
            made.close()


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Launched]:
    """A deployment of one test."""
    made = Launched(tmp_path)
    yield made
    made.close()
