"""The machine: who may write to its files, and telemetry and versions of the packages."""

import platform
import stat
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement

from mlops_assets.cli.doctor.findings import Finding, fault, fine
from mlops_assets.text import listed

_OFF = {
    "MLflow": ("MLFLOW_DISABLE_TELEMETRY", "true", ("true", "1")),
    "Great Expectations": ("GX_ANALYTICS_ENABLED", "false", ("false", "0")),
    "Evidently": ("DO_NOT_TRACK", "1", ("1", "true")),
}


def permissions(paths: Mapping[str, Path]) -> list[Finding]:
    """Check whether every user of the machine may write where only this user should."""
    why = "Any user of this machine can change what decisions rest on, or what is loaded."
    return [
        fault(f"permissions of {name}", f"{path} is writable by everybody", why, f"chmod o-w {path}")
        for name, path in paths.items()
        if path.exists() and (mode := path.stat().st_mode) & stat.S_IWOTH and not mode & stat.S_ISVTX
    ] or [fine("permissions", f"nobody else writes to {listed(paths, 10)}")]


def telemetry(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check whether packages send usage data; importing this pack switches it off unless a variable is set."""
    for package, (variable, off, known) in _OFF.items():
        value = environment.get(variable, "")
        why = f"{package} reports its use over the network; this pack promises that nothing does."
        mend = f"export {variable}={off}, or do not set it"
        on = fault(f"telemetry of {package}", f"on ({variable}={value!r})", why, mend)
        yield on.unless(value.lower() in known, f"off ({variable}={value})")


def versions(requirements: Iterable[str] | None = None) -> list[Finding]:
    """Check that Python and the installed packages are within the ranges that the pack is tested with."""
    python = f"python{metadata('mlops-assets')['Requires-Python'] or ''}"
    packages = (requires("mlops-assets") or ()) if requirements is None else requirements
    why = "This version is outside the tested range, or is known to break."
    return [
        fault(f"version of {name}", problem, why, f"pip install --upgrade mlops-assets {name!r}")
        for name, problem in _unsupported([python, *packages])
    ] or [fine("versions", "Python and all packages are within the supported ranges")]


def _unsupported(requirements: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the name of each package outside its range, and the installed and the supported versions."""
    for requirement in map(Requirement, requirements):
        name, supported = requirement.name, requirement.specifier
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = platform.python_version() if name == "python" else version(name)
        except PackageNotFoundError:
            yield name, f"not installed; needed: {supported}"
        else:
            if not supported.contains(installed, prereleases=True):
                yield name, f"{installed}; supported: {supported}"
