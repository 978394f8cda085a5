"""Find and load the module or file of the code location, by the rules of Dagster's own command line."""

import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import yaml

from mlops_assets.cli.output import quietly
from mlops_assets.dagster_private import repository_at
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.text import listed


@dataclass(frozen=True, kw_only=True)
class Target:
    """A module or file that holds definitions; imports begin in `folder`, `why` says where the target was named."""

    kind: str
    name: str
    folder: Path
    location_name: str
    why: str

    def __str__(self) -> str:
        return f"code location {self.name} ({self.why})"

    def load(self) -> dg.RepositoryDefinition:
        """Return the definitions; raise `MlopsAssetsError` if they do not load. What loading prints goes to stderr."""
        try:
            with quietly(), _importing_from(self.folder):
                repository = repository_at(self.kind, self.name, self.folder)
        except MlopsAssetsError:
            raise
        except Exception as error:  # whatever a user's code raises
            raise MlopsAssetsError(f"{self} does not load: {_innermost(error)}") from error
        if repository is None:
            raise MlopsAssetsError(f"{self} holds no Definitions: assign one at module level, as `defs = ...`")
        return repository


def target_of(module: str | None, python_file: Path | None, directory: Path | None) -> Target:
    """Return the target of the options, else of the current folder or one above; else raise `MlopsAssetsError`."""
    folder = (directory or Path.cwd()).resolve()
    if not folder.is_dir():
        raise MlopsAssetsError(f"the working directory {folder} does not exist")
    if module and python_file:
        raise MlopsAssetsError("both -m and -f are given: name the code location by one of them")
    if module:
        return _module(module, folder, "-m")
    if python_file:
        if not python_file.is_file():
            raise MlopsAssetsError(f"there is no file {python_file}, which -f names")
        return _file(python_file.resolve(), folder, "-f")
    if (target := _of_project(folder) or _of_workspace(folder)) is not None:
        return target
    if (path := folder / "definitions.py").is_file():
        return _file(path, folder, "in this folder")
    raise MlopsAssetsError(
        f"there is no code location in {folder}: name it by -m MODULE or -f FILE, or go to a folder with "
        "[tool.dg.project] in its pyproject.toml, a workspace.yaml or a definitions.py"
    )


def _module(name: str, folder: Path, why: str, location_name: str | None = None) -> Target:
    return Target(kind="python_module", name=name, folder=folder, location_name=location_name or name, why=why)


def _file(path: Path, folder: Path, why: str, location_name: str | None = None) -> Target:
    name = location_name or path.name
    return Target(kind="python_file", name=str(path), folder=folder, location_name=name, why=why)


def _of_project(folder: Path) -> Target | None:
    """Return the project of the nearest pyproject.toml with one; its folder becomes the current one, as for `dg`."""
    for parent in (folder, *folder.parents):
        path = parent / "pyproject.toml"
        if path.is_file() and (project := _project(path)):
            os.chdir(parent)  # relative paths of data are relative to this folder
            module = project.get("code_location_target_module") or f"{project['root_module']}.definitions"
            location_name = project.get("code_location_name") or parent.name
            return _module(module, parent, f"[tool.dg.project] of {path}", location_name)
    return None


def _project(path: Path) -> Mapping[str, Any]:
    try:
        settings = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MlopsAssetsError(f"{path} cannot be read: {error}") from error
    project: Mapping[str, Any] = settings.get("tool", {}).get("dg", {}).get("project", {})
    if project and "root_module" not in project:
        raise MlopsAssetsError(f"[tool.dg.project] of {path} lacks root_module, the package that holds the definitions")
    return project


def _of_workspace(folder: Path) -> Target | None:
    paths = (folder / name for name in ("workspace.yaml", "workspace.yml"))
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    try:
        entries = (yaml.safe_load(path.read_text()) or {}).get("load_from") or []
        targets = [_of_entry(entry, path) for entry in entries]
    except (yaml.YAMLError, AttributeError, TypeError, KeyError) as error:
        raise MlopsAssetsError(f"{path} cannot be read as a workspace: {error}") from error
    if len(targets) != 1:
        names = listed((Path(target.name).name for target in targets), 20) or "none"
        raise MlopsAssetsError(f"{path} names {len(targets)} code locations ({names}): choose one by -m or -f, and -d")
    return targets[0]


def _of_entry(entry: Mapping[str, Any], path: Path) -> Target:
    [(kind, value)] = entry.items()
    fields = value if isinstance(value, Mapping) else {"relative_path": value, "module_name": value}
    folder, location_name = path.parent / (fields.get("working_directory") or "."), fields.get("location_name")
    if kind == "python_file":
        return _file(path.parent / fields["relative_path"], folder, str(path), location_name)
    if kind in ("python_module", "python_package"):
        module = fields.get("module_name") or fields["package_name"]
        return _module(str(module), folder, str(path), location_name)
    raise MlopsAssetsError(f"{path} names a {kind}, which is not loaded here: name its module or file by -m or -f")


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """Import from a folder: Dagster takes the first entry of sys.path for its script's folder, and the pack's stays."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with suppress(ValueError):  # the user's code may have removed it
            sys.path.remove(str(folder))


def _innermost(error: BaseException) -> str:
    """Return the type and message of the error that came first."""
    while not isinstance(error, MlopsAssetsError):  # the causes of such an error say less than the error
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            break
        error = cause
    return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"
