"""What the tests of the command line share: a deployment that has lived, and its commands."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.lived import ADA, Lived, environment, lived_at

# isort: split
from mlops_assets.cli.rehoming import rehome
from support.deployment import REPOSITORY, Deployment
from support.synthetic import rows


@pytest.fixture(scope="session")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Not to be changed by a test; `lived` and `copied` are what tests ask for."""
    deployment = Deployment(tmp_path_factory.mktemp("cli"))
    model = deployment.model("rentals", pages="never", retraining={"cron": "0 3 * * *"})
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge(alpha=1e4).success
    assert model.challenge(alpha=0.1).success and model.champion() == 2
    assert model.take_in(model.land("b3", rows(3).assign(x=lambda frame: frame["x"] + 9))).success
    assert not model.take_in(model.land("b4", rows(4).drop(columns="x"))).success
    assert model.materialize("champion", action="rollback", version=1, **ADA).success and model.champion() == 1
    yield Lived(deployment.home, model)
    deployment.instance.dispose()


@pytest.fixture
def lived(life: Lived, monkeypatch: pytest.MonkeyPatch) -> Lived:
    """The life, with the environment of its commands."""
    environment(monkeypatch, life.home)
    return life


@pytest.fixture
def copied(life: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lived:
    """A copy of the life with artifacts of its own, to be changed."""
    shutil.copytree(life.home, tmp_path / "home")
    found = lived_at(tmp_path / "home", monkeypatch)
    rehome(found.model.registry, found.model.storage, ["rentals"], "ada", "a copy for a test")
    return found


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Writes a file into an empty folder, which is the present one, with an instance of its own beside it."""
    folder = tmp_path / "project"
    (tmp_path / "instance").mkdir()
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path / "instance")
    folder.mkdir()
    monkeypatch.chdir(folder)
    environment(monkeypatch, tmp_path)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "instance"))

    def write(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write
