"""What the tests of faults share: the rigs of other folders, and an MLflow database that has its tables."""

import re
from pathlib import Path

import pytest

from support.deployment import Deployment


@pytest.fixture(scope="session")
def mlflow_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database, to be copied: making its tables takes MLflow seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory, mlflow_schema: Path) -> "Deployment":
    """Dagster, MLflow and files below one folder; a test has models of its own in it."""
    home = tmp_path_factory.mktemp("faults")
    (home / "mlflow.db").write_bytes(mlflow_schema.read_bytes())
    return Deployment(home)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A model name that no other test has."""
    return "m_" + re.sub(r"[^a-z0-9]+", "_", request.node.name.lower())[-50:].strip("_")
