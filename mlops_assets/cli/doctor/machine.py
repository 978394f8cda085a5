"""The machine: storage and who may write to it, and telemetry and versions of the packages."""

import os
import platform
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from mlops_assets.cli.doctor.findings import Finding, advice, fault, fine
from mlops_assets.text import listed

_LEAST_FREE = 1_000_000_000
_OFF = {
    "MLflow": ("MLFLOW_DISABLE_TELEMETRY", "true", ("true", "1")),
    "Great Expectations": ("GX_ANALYTICS_ENABLED", "false", ("false", "0")),
    "Evidently": ("DO_NOT_TRACK", "1", ("1", "true")),
}


def storage(root: str) -> Iterator[Finding]:
    """Check that batches and records can be written and have room."""
    name, path = "storage", Path(root)
    if not path.is_absolute():
        why = "Each process looks below the folder that it was started in: what one has written another does not find."
        yield advice(
            "storage path", f"{root!r} is relative", why, "give mlops_storage and mlops_batches an absolute root"
        )
    there = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "No batch can be taken in, no decision recorded."
        yield fault(name, f"{there} cannot be written to", why, f"give the user of the daemon the folder {path}")
        return
    free = shutil.disk_usage(there).free
    if free < _LEAST_FREE:
        why = "A batch or a model that does not fit is not written; its run fails."
        yield fault(
            name, f"{free / 1e9:.2f} GB free below {there}", why, "make room: nothing there is deleted by itself"
        )
        return
    yield fine(name, f"{path}: can be written to, {free / 1e9:,.0f} GB free")


def permissions(paths: Mapping[str, Path]) -> Iterator[Finding]:
    """Check whether every user of the machine may write where only this user should."""
    why = "Any user of this machine can change what decisions rest on, or what is loaded."
    found = False
    for what, path in paths.items():
        if path.exists() and (mode := path.stat().st_mode) & stat.S_IWOTH and not mode & stat.S_ISVTX:
            found = True
            yield fault(f"permissions of {what}", f"{path} is writable by everybody", why, f"chmod o-w {path}")
    if not found:
        yield fine("permissions", f"nobody else writes to {listed(paths, 10)}")


def telemetry(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Check whether packages send usage data; importing this pack switches it off unless a variable is set."""
    for package, (variable, off, known) in _OFF.items():
        name, value = f"telemetry of {package}", environment.get(variable, "")
        if value.lower() in known:
            yield fine(name, f"off ({variable}={value})")
        else:
            why = f"{package} reports its use over the network, which this pack says that nothing does."
            yield fault(name, f"on ({variable}={value!r})", why, f"export {variable}={off}, or do not set it")


def versions(requirements: Iterable[str] | None = None) -> Iterator[Finding]:
    """Check that the installed packages are within the ranges that the pack is tested with."""
    wrong = [*_wrong_python(), *_wrong(requires("mlops-assets") or () if requirements is None else requirements)]
    for package, found in wrong:
        why = "Outside of the range that is tested, or known to break."
        yield fault(f"version of {package}", found, why, f"pip install --upgrade mlops-assets {package!r}")
    if not wrong:
        yield fine("versions", "Python and all packages are within the supported ranges")


def _wrong(requirements: Iterable[str]) -> Iterator[tuple[str, str]]:
    for each in map(Requirement, requirements):
        if each.marker is not None and not each.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(each.name)
        except PackageNotFoundError:
            yield each.name, f"not installed; needed: {each.specifier}"
            continue
        if not each.specifier.contains(installed, prereleases=True):
            yield each.name, f"{installed}; supported: {each.specifier}"


def _wrong_python() -> Iterator[tuple[str, str]]:
    needed = metadata("mlops-assets")["Requires-Python"] or ""
    if not SpecifierSet(needed).contains(platform.python_version(), prereleases=True):
        yield "python", f"{platform.python_version()}; supported: {needed}"
