"""One deployment for all tests of a process; a test has models of its own in it, which is all that keeps them apart."""

import importlib
import linecache
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.deployment import DeployedModel, Deployment
from support.reproduced import trained
from support.rewind import RewoundDeployment
from support.synthetic import rows


@pytest.fixture(scope="session")
def mlflow_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database, to be copied: making its tables takes MLflow seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory, mlflow_schema: Path) -> Iterator[Deployment]:
    """Dagster, MLflow and files below one folder."""
    home = tmp_path_factory.mktemp("deployment")
    shutil.copy(mlflow_schema, home / "mlflow.db")
    made = Deployment(home)
    yield made
    made.instance.dispose()


@pytest.fixture(scope="module")
def own_deployment(tmp_path_factory: pytest.TempPathFactory, mlflow_schema: Path) -> Iterator[RewoundDeployment]:
    """A deployment of a test module, to be made once and rewound for each test."""
    home = tmp_path_factory.mktemp("rewound") / "home"
    home.mkdir()
    shutil.copy(mlflow_schema, home / "mlflow.db")
    made = RewoundDeployment(home)
    yield made
    made.instance.dispose()


@pytest.fixture(scope="module")
def two_versions(own_deployment: RewoundDeployment) -> DeployedModel:
    """Version 1, poor, was champion; version 2 is."""
    model = own_deployment.model("promoted")
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge(alpha=1e4).success
    assert model.challenge(alpha=0.1).success and model.champion() == 2
    own_deployment.remember()
    return model


@pytest.fixture
def promoted(own_deployment: RewoundDeployment, two_versions: DeployedModel) -> DeployedModel:
    """`two_versions` as they were made, whatever tests before have done to them."""
    own_deployment.rewind()
    return two_versions


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A model name that no other test has."""
    return re.sub(r"[^a-z0-9_]+", "_", request.node.name.lower().removeprefix("test_"))[:60].strip("_")


@pytest.fixture
def deployed(deployment: Deployment, name: str) -> Callable[..., DeployedModel]:
    """Makes models with a version, and remembers where their files are."""

    def made(overrides: dict[str, Any] | None = None, batches: int = 3, **declared: Any) -> DeployedModel:
        model = trained(deployment, name, overrides, batches, **declared)
        model.home = deployment.home
        return model

    return made


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> Callable[[str], ModuleType]:
    """Writes a module anew and imports it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def written(text: str) -> ModuleType:
        (tmp_path / f"of_{name}.py").write_text(text)
        sys.modules.pop(f"of_{name}", None)
        linecache.clearcache()
        importlib.invalidate_caches()
        return importlib.import_module(f"of_{name}")

    return written
