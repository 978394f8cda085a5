"""One deployment for all tests of a process; a test has models of its own in it, which is all that keeps them apart."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployment import Deployment


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


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A model name that no other test has."""
    return re.sub(r"[^a-z0-9_]+", "_", request.node.name.lower().removeprefix("test_"))[:60].strip("_")
