"""The wheel, and a folder on the disk of uv's cache, so that environments are hard links and not copies."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.clean_project import REPOSITORY, uv


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution of this repository."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--out-dir", folder, REPOSITORY)
    return folder


@pytest.fixture(scope="session")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        yield Path(made)
