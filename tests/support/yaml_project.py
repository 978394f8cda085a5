"""A Dagster project of its own for a test, as `create-dagster project` lays it out, with defs that the test writes."""

import os
import re
import subprocess
import sys
import traceback
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from mlops_assets import MlopsAssetsError, ModelPipeline

PYPROJECT = """
[project]
name = "{name}"
version = "0.1.0"

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "{name}"
"""
DEFINITIONS = """
from pathlib import Path

import dagster as dg


@dg.definitions
def defs():
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
MODEL = "mlops_assets.ModelPipeline"
MINIMAL = {"name": "bike", "source": "data/*.csv", "target": "y", "estimator": "sklearn.linear_model.Ridge"}
_NUMBERS = count()


class Project:
    """Its root is on sys.path, and its package has a name that no other test uses."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.name = root, f"shop_{os.getpid()}_{next(_NUMBERS)}"
        self.folder = root / self.name / "defs"
        self.folder.mkdir(parents=True)
        (root / "pyproject.toml").write_text(PYPROJECT.format(name=self.name))
        (root / self.name / "__init__.py").touch()
        (root / self.name / "definitions.py").write_text(DEFINITIONS)
        (self.folder / "__init__.py").touch()
        monkeypatch.syspath_prepend(root)

    def write(self, path: str, text: str) -> Path:
        """A file in the defs folder."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def declare(self, folder: str, attributes: Mapping[str, Any] | None, kind: str = MODEL) -> str:
        """A defs.yaml with these attributes; its text."""
        document = {"type": kind, **({} if attributes is None else {"attributes": dict(attributes)})}
        return self.write(f"{folder}/defs.yaml", yaml.safe_dump(document, sort_keys=False)).read_text()

    def component(self) -> ModelPipeline:
        """The only model of the project, loaded anew."""
        (found,) = dg.ComponentTree.for_project(self.root).get_all_components(of_type=ModelPipeline)
        return found

    def defs(self) -> dg.Definitions:
        """The definitions of the project, checked as `dg check defs` does."""
        defs = dg.load_from_defs_folder(path_within_project=self.root)
        dg.Definitions.validate_loadable(defs)
        return defs

    def error(self) -> str:
        """The one error that loading ends in; it must be ours, with nothing from inside below it."""
        with pytest.raises(Exception) as raised:
            self.defs()
        return told_once(raised.value)

    def told_at(self, folder: str) -> tuple[str, str]:
        """The line of a defs.yaml that the one error names, as it is written there, and what is said of it."""
        said = self.error()
        assert "\n" not in said, said
        found = re.fullmatch(rf"{self.name}/defs/{folder}/defs\.yaml:(\d+): (.*)", said)
        assert found is not None, said
        return (self.folder / folder / "defs.yaml").read_text().splitlines()[int(found[1]) - 1].strip(), found[2]

    def dg(self, *command: str) -> subprocess.CompletedProcess[str]:
        """One call of the real `dg`."""
        environment = {**os.environ, "PYTHONPATH": str(self.root), "NO_COLOR": "1", "COLUMNS": "200"}
        environment = {name: value for name, value in environment.items() if name != "DAGSTER_HOME"}
        program = Path(sys.executable).parent / "dg"
        path = f"{program.parent}{os.pathsep}{environment['PATH']}"
        options = {"cwd": self.root, "env": {**environment, "PATH": path}, "text": True, "capture_output": True}
        return subprocess.run([program, *command], check=False, timeout=300, **options)


def told_once(error: BaseException) -> str:
    """The text of an error of ours that is clear by itself.

    Around it are errors of Dagster alone, below it none at all; and it was raised by what a person called, so that
    nothing from inside is printed.
    """
    around = []
    while not isinstance(error, MlopsAssetsError):
        around.append(error)
        below = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        assert below is not None, f"no error of ours: {type(error).__name__}: {error}"
        error = below
    assert {type(each).__name__ for each in around} <= {"ComponentTreeException"}
    assert error.__cause__ is None and (error.__context__ is None or error.__suppress_context__)
    printed = "".join(traceback.format_exception(error))
    assert "pydantic" not in printed and "ValidationError" not in printed
    return str(error)


def of_yaml(attributes: dict[str, Any]) -> ModelPipeline:
    """The component of these attributes, without a file."""
    return ModelPipeline.from_attributes_dict(attributes=attributes)
