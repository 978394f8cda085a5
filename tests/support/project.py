"""A Dagster project in a folder, as the pages take it to be: their files, their data, and the loop left to itself."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from support.bikes import write_files
from support.ledger_rows import value_of
from support.pages import REPOSITORY, Block, blocks, not_run

PYPROJECT = """
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "defs"
defs_module = "defs"
code_location_target_module = "definitions"
"""
DEFINITIONS = """
from pathlib import Path

import dagster as dg

defs = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
"""
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
MOST_TICKS = 6
TOP_LEVEL = ("defs", "definitions", "resources", "sensors")


class Project:
    """What a page's blocks are put into: a folder that is the working directory, and a namespace that they share."""

    def __init__(self, folder: Path, mlflow_schema: Path) -> None:
        self.folder = folder
        self.namespace: dict[str, Any] = {"__name__": "page"}
        self.pages: set[str] = set()
        self.ran: set[Block] = set()
        self.home = folder / ".mlops"
        (self.home / "dagster").mkdir(parents=True)
        shutil.copy(REPOSITORY / "dagster.yaml", self.home / "dagster")
        shutil.copy(mlflow_schema, self.home / "mlflow.db")
        (folder / "defs").mkdir()
        (folder / "defs" / "__init__.py").touch()
        (folder / "pyproject.toml").write_text(PYPROJECT)
        write_files(folder)

    def follow(self, page: str, commands: bool = False) -> None:
        """Put each file of a page in place and run its Python; with `commands` also its shell blocks, in order."""
        self.pages.add(page)
        for block in blocks(page):
            if block.title or block.language == "python":
                self.put(block)
            elif commands and block.language == "bash" and not_run(block) is None:
                self._shell(block)

    def commands(self, page: str, ends_with: int = 0) -> str:
        """What the shell blocks of a page print; each must end with this code."""
        shell = [block for block in blocks(page) if block.language == "bash" and not_run(block) is None]
        return "\n".join(self._shell(block, ends_with) for block in shell)

    def left_out(self) -> list[str]:
        """Blocks of the pages followed that were neither run nor are listed as not to be run."""
        every = [block for page in sorted(self.pages) for block in blocks(page)]
        return [
            block.place
            for block in every
            if block not in self.ran and block.language != "text" and not_run(block) is None
        ]

    def put(self, block: Block) -> None:
        """Write a block that has a file's name into that file; run a Python block that has none."""
        self.ran.add(block)
        if block.title:
            path = self.folder / block.title
            assert path.resolve().is_relative_to(self.folder.resolve()), f"{block.place}: {block.title} leads out"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile("\n" * block.line + block.text, block.place, "exec"), self.namespace)

    def _shell(self, block: Block, ends_with: int = 0) -> str:
        """What a shell block prints; the test fails with it where the block ends otherwise."""
        self.ran.add(block)
        self.settle()
        found = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            **{"cwd": self.folder, "env": self._environment(), "capture_output": True, "text": True, "timeout": 300},
        )
        assert found.returncode == ends_with, f"{block.place}\n{found.stdout}\n{found.stderr}"
        return found.stdout

    def _environment(self) -> Mapping[str, str]:
        """PATH begins with this interpreter's folder, so that `dg` and `mlops-assets` are those under test."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return {
            **os.environ,
            "PATH": path,
            "DAGSTER_HOME": str(self.home / "dagster"),
            "MLOPS_ASSETS_HOME": str(self.home),
            "PYTHONPATH": str(self.folder),
        }

    @contextmanager
    def location(self) -> Iterator["Location"]:
        """The project's definitions and an instance to run in."""
        self.settle()
        for name in [name for name in sys.modules if name.partition(".")[0] in TOP_LEVEL]:
            del sys.modules[name]
        with dg.DagsterInstance.from_config(str(self.home / "dagster")) as instance:
            yield Location(import_module("definitions").defs, instance)

    def settle(self) -> None:
        """A project with the component `Deployment` needs no Python; any other has what this repository has."""
        if any("mlops_assets.Deployment" in path.read_text() for path in self.folder.rglob("defs.yaml")):
            (self.folder / "definitions.py").write_text(DEFINITIONS)
            return
        shutil.copy(REPOSITORY / "definitions.py", self.folder)
        for name in ("resources", "sensors"):
            shutil.copytree(REPOSITORY / name, self.folder / name, dirs_exist_ok=True)


class Location:
    """A code location, an instance, and what the daemon does: tick the sensors, launch what they ask for."""

    def __init__(self, defs: dg.Definitions, instance: dg.DagsterInstance) -> None:
        self.defs, self.instance = defs, instance
        self.repository = defs.get_repository_def()
        self._cursors: dict[str, str | None] = {}
        self._asked: set[str | None] = set()

    @property
    def registry(self) -> MlflowRegistry:
        return self.defs.resources["mlflow_registry"]

    @property
    def storage(self) -> Storage:
        return self.defs.resources["mlops_storage"]

    def inferred_suite(self, model: str) -> list[dict[str, Any]]:
        """The expectations that were inferred for a model and are in force."""
        version = value_of(self.storage, model, "inferred_suites", "suite")["digest"]
        return self.storage.read_document(model, "suites", version)["expectations"]

    def left_to_itself(self) -> list[dg.ExecuteInProcessResult]:
        """Ticks until neither sensor asks for a run any more; the runs in their order."""
        runs: list[dg.ExecuteInProcessResult] = []
        quiet = 0
        for _ in range(MOST_TICKS):
            made = [run for sensor in ("new_data", "retraining") for run in self.tick(sensor)]
            runs += made
            quiet = 0 if made else quiet + 1
            if quiet == 2:  # a file is taken in at the second look
                break
        return runs

    def tick(self, name: str) -> list[dg.ExecuteInProcessResult]:
        """One tick of a sensor, and the runs that it asks for."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self._cursors.get(name),
            repository_def=self.repository,
            resources=self.defs.resources,
        )
        result = self.repository.get_sensor_def(name).evaluate_tick(context)
        self._cursors[name] = result.cursor
        for request in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        for event in result.asset_events or ():
            self.instance.report_runless_asset_event(event)
        new = [request for request in result.run_requests or () if request.run_key not in self._asked]
        self._asked |= {request.run_key for request in new}
        return [self._requested(request, name) for request in new]

    def _requested(self, request: dg.RunRequest, sensor: str) -> dg.ExecuteInProcessResult:
        if request.asset_selection is not None:
            return self._execute(request.asset_selection, request.partition_key, request.tags)
        job = self.repository.get_job(request.job_name or self.repository.get_sensor_def(sensor).job_name)
        config = {**QUIET, **request.run_config}
        return job.execute_in_process(
            instance=self.instance, run_config=config, tags=request.tags, raise_on_error=False
        )

    def run(self, *assets: str, batch: str | None = None, **ops: Any) -> dg.ExecuteInProcessResult:
        """One run of assets ("bikes/champion") with their checks, as the UI launches it; `ops` is config by step."""
        config = {"ops": {step: {"config": config} for step, config in ops.items()}}
        return self._execute([dg.AssetKey.from_user_string(key) for key in assets], batch, {}, config)

    def _execute(
        self,
        assets: Sequence[dg.AssetKey],
        batch: str | None,
        tags: Mapping[str, str],
        config: Mapping[str, Any] | None = None,
    ) -> dg.ExecuteInProcessResult:
        return self.defs.resolve_implicit_job_def_def_for_assets(assets).execute_in_process(
            instance=self.instance,
            asset_selection=list(assets),
            partition_key=batch,
            tags=dict(tags),
            run_config={**QUIET, **(config or {})},
            raise_on_error=False,
        )

    def shown(self, model: str, kind: str) -> Mapping[str, Any]:
        """Plain metadata of the newest materialisation of an asset."""
        event = self.instance.get_latest_materialization_event(dg.AssetKey([model, kind]))
        assert event is not None and event.asset_materialization is not None, f"{model}/{kind} was never materialised"
        return {name: getattr(value, "value", value) for name, value in event.asset_materialization.metadata.items()}

    def table(self, model: str, kind: str, name: str) -> list[dict[str, Any]]:
        """The rows of a table in the metadata of an asset's newest materialisation."""
        return [dict(record.data) for record in self.shown(model, kind)[name].records]


@pytest.fixture(scope="session")
def mlflow_schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database, to be copied: making its tables takes MLflow seconds."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def project(tmp_path: Path, mlflow_schema: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project of its own as the working directory; modules of it, and `defs` of this repository, stay apart."""
    for name in [name for name in sys.modules if name.partition(".")[0] in TOP_LEVEL]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("MLOPS_ASSETS_HOME", str(tmp_path / ".mlops"))
    before = set(sys.modules)
    made = Project(tmp_path, mlflow_schema)
    yield made
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]
    assert made.left_out() == [], "blocks that were not run: run them, or say in pages.NOT_RUN why not"
