"""The code location that a command works on: its models, resources, jobs and instance."""

import difflib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, cast

import dagster as dg
import typer

from mlops_assets.background_call import within
from mlops_assets.cli.output import one_line, quietly
from mlops_assets.cli.target import Target, target_of
from mlops_assets.dagster_private import env_file_variables
from mlops_assets.declaration import Declaration
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.mlflow import calls
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.models import models_in
from mlops_assets.text import listed, shown

_SECONDS = 30.0
"""How long the database of Dagster may take to answer: its client waits for ever."""

Module = Annotated[str | None, typer.Option("-m", "--module-name", help="Module of the code location.")]
PythonFile = Annotated[Path | None, typer.Option("-f", "--python-file", help="File of the code location.")]
Directory = Annotated[Path | None, typer.Option("-d", "--working-directory", help="Where its imports begin.")]
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="Name of a model.")]


@dataclass(frozen=True)
class Location:
    """A loaded code location, with the instance that its runs are recorded in."""

    target: Target
    repository: dg.RepositoryDefinition
    instance: dg.DagsterInstance
    stack: ExitStack

    @property
    def models(self) -> dict[str, Declaration]:
        """The declarations of the code location's models by name."""
        return {model.name: model for model in models_in(self.repository)}

    def model(self, name: str) -> Declaration:
        """Return the declaration of a model; raise `MlopsAssetsError` with the nearest names for an unknown name."""
        models = self.models
        if name in models:
            return models[name]
        if not models:
            raise MlopsAssetsError(
                f"{self.target} declares no models: add a ModelPipeline, or name another by -m or -f"
            )
        close = difflib.get_close_matches(name, models)
        meant = f"; did you mean {' or '.join(close)}?" if close else ""
        raise MlopsAssetsError(f"there is no model {shown(name)}{meant} ({self.target} has: {listed(models, 20)})")

    def records(self, name: str) -> ModelRecords:
        """Return the records of a model; raise as `model` does."""
        return ModelRecords(self.model(name), self.storage)

    @cached_property
    def storage(self) -> Storage:
        """The resource `mlops_storage`."""
        return cast(Storage, self.resource("mlops_storage"))

    @cached_property
    def registry(self) -> MlflowRegistry:
        """The resource `mlflow_registry`."""
        return cast(MlflowRegistry, self.resource("mlflow_registry"))

    def resource(self, key: str) -> Any:
        """Return a resource as a run gets it, with environment variables resolved."""
        resources = self.repository.get_top_level_resources()
        if key not in resources:
            raise MlopsAssetsError(
                f"{self.target} has no resource {key!r} (it has: {listed(sorted(resources), 20)}): "
                "add those of mlops_assets, for instance by `type: mlops_assets.Deployment` in a defs.yaml"
            )
        needed = {key: resources[key]}
        while names := {name for resource in needed.values() for name in resource.required_resource_keys} - set(needed):
            needed |= {name: resources[name] for name in names}
        try:
            with quietly():
                built = self.stack.enter_context(dg.build_resources(needed, instance=self.instance))
        except Exception as error:  # a resource of the user's may raise anything
            raise MlopsAssetsError(f"resource {key!r} of {self.target} cannot be made: {one_line(error)}") from error
        return getattr(built, key)


@contextmanager
def located(module: str | None, python_file: Path | None, directory: Path | None) -> Iterator[Location]:
    """Yield the code location that options name, else the current folder's, and its instance.

    Raise `MlopsAssetsError` if there is no code location, if it does not load, or if no instance is configured.
    """
    target = target_of(module, python_file, directory)
    with ExitStack() as stack:
        stack.enter_context(env_file())
        instance = stack.enter_context(instance_of())
        instance.inject_env_vars(target.location_name)
        yield Location(target, target.load(), instance, stack)


@contextmanager
def env_file() -> Iterator[None]:
    """Let variables of a file `.env` in the current folder override the shell's, as for `dagster` and `dg`."""
    values = env_file_variables(os.getcwd())
    before = {name: os.environ[name] for name in values if name in os.environ}
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            os.environ.pop(name, None)
        os.environ.update(before)


def sqlite_file(registry: MlflowRegistry) -> Path | None:
    """Return the SQLite file of a registry, None for a server or another database."""
    return calls.sqlite_file(registry.address)


def missing_database(registry: MlflowRegistry) -> Path | None:
    """Return the SQLite file of a registry if it does not exist, else None: a request to MLflow would create it."""
    path = sqlite_file(registry)
    return None if path is None or path.exists() else path


def instance_of() -> dg.DagsterInstance:
    """Return the instance of DAGSTER_HOME."""
    home = os.environ.get("DAGSTER_HOME", "")
    if not home:
        raise MlopsAssetsError(
            "DAGSTER_HOME is not set, so it is not known where runs are recorded: set it to the folder that holds "
            "dagster.yaml, as in `export DAGSTER_HOME=/path/to/dagster_home` (in a clone: $PWD/.mlops/dagster)"
        )
    if not Path(home).is_absolute() or not Path(home).is_dir():
        raise MlopsAssetsError(f"DAGSTER_HOME must be the absolute path of an existing folder; it is {shown(home)}")
    try:
        with quietly():
            return within(_SECONDS, dg.DagsterInstance.get)
    except Exception as error:  # Dagster, YAML and SQLAlchemy raise kinds of their own
        why = one_line(getattr(error.__cause__, "orig", None) or error)  # a server that is away is the cause of another
        raise MlopsAssetsError(f"the instance of DAGSTER_HOME={home} does not open: {why}") from error
