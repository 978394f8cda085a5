"""What the tests of components share: a Dagster project of its own."""

import pytest

from support.yaml_project import Project


@pytest.fixture
def project(tmp_path, monkeypatch) -> Project:
    return Project(tmp_path / "project", monkeypatch)
