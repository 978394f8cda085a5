"""The command: it looks at everything at once, each part within a time limit, and says what to do."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import typer
from rich.table import Table

from mlops_assets.cli.code_location import Directory, Location, Module, PythonFile, env_file, instance_of
from mlops_assets.cli.doctor.champions import artifact_places, champions
from mlops_assets.cli.doctor.daemons import daemons, schedules, sensors, slots
from mlops_assets.cli.doctor.databases import roles
from mlops_assets.cli.doctor.exposure import exposure
from mlops_assets.cli.doctor.findings import Finding, Severity, advice, fault, fine
from mlops_assets.cli.doctor.machine import permissions, storage, telemetry, versions
from mlops_assets.cli.doctor.mlflow import address, answers
from mlops_assets.cli.doctor.records import records
from mlops_assets.cli.doctor.runs import runs
from mlops_assets.cli.doctor.settings import settings
from mlops_assets.cli.output import WRONG, AsJson, console, literal, quietly, say_json
from mlops_assets.cli.target import Target, target_of
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.records.typed import store_of
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage

Probe = Callable[[], Iterable[Finding]]

MOST_SECONDS = 60.0
_STYLES = {"fault": "bold red", "advice": "yellow", "fine": "green"}
_USUAL_PORTS = (3000, 5000)


def doctor(
    module: Module = None,
    python_file: PythonFile = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Say what this instance lacks for the promises to hold, why it matters and how to mend it. Exit 1 on a fault."""
    with ExitStack() as stack:
        found = list(_examined(stack, module, python_file, directory))
    counts = Counter(each.severity for each in found)
    if as_json:
        say_json({"faults": counts["fault"], "advice": counts["advice"], "findings": [asdict(each) for each in found]})
    else:
        _show(found, counts)
    if counts["fault"]:
        raise typer.Exit(WRONG)


def _examined(
    stack: ExitStack, module: str | None, python_file: Path | None, directory: Path | None
) -> Iterator[Finding]:
    """Yield all findings; what cannot be opened is a finding, and everything else is looked at all the same."""
    target = _target(module, python_file, directory)
    stack.enter_context(env_file())
    instance = location = None
    try:
        instance = stack.enter_context(instance_of())
        yield fine("instance", os.environ["DAGSTER_HOME"])
    except MlopsAssetsError as error:
        why = "Nothing is on record without it, and settings cannot be looked at."
        yield fault("instance", str(error), why, "export DAGSTER_HOME=/path/to/the/folder/of/dagster.yaml")
    if isinstance(target, Target):
        try:
            if instance is not None:
                instance.inject_env_vars(target.location_name)
            repository = target.load()
            yield fine("code location", str(target))
            location = None if instance is None else Location(target, repository, instance, stack)
        except MlopsAssetsError as error:
            target = error
    if isinstance(target, MlopsAssetsError):
        yield fault("code location", str(target), "No sensor, schedule or model runs from it.", "mend what it says")
    yield from at_once(_probes(instance, location))


def _target(module: str | None, python_file: Path | None, directory: Path | None) -> Target | MlopsAssetsError:
    """Return the code location, or the error that says why there is none."""
    try:
        return target_of(module, python_file, directory)
    except MlopsAssetsError as error:
        return error


def _probes(instance: dg.DagsterInstance | None, location: Location | None) -> dict[str, Probe]:
    """Return the probes by name that the instance and the code location allow."""
    probes: dict[str, Probe] = {}
    ports: set[int] = set(_USUAL_PORTS)
    private: dict[str, Path] = {}
    if instance is not None:
        names = list(location.models) if location is not None else []
        private["DAGSTER_HOME"] = Path(os.environ["DAGSTER_HOME"])
        probes["settings"] = lambda: settings(instance, names)
        probes["daemon"] = lambda: daemons(instance)
        probes["pool slots"] = lambda: slots(instance)
    if location is not None:
        probes |= _of_location(location)
        try:
            registry, store = location.registry, location.storage
            root = store.root
        except Exception as error:  # a resource of the user's may raise anything
            why_not = " ".join(str(error).split())[:700]
            probes["resources"] = lambda: [
                fault("resources", why_not, "No step of a model can run.", "mend what it says")
            ]
        else:
            probes |= _of_mlflow(location, registry)
            models = list(location.models)
            probes["storage"] = lambda: storage(root)
            probes["records"] = lambda: records(store, models)
            ports |= {port for uri in (registry.address, registry.ui_url) if (port := _port(uri))}
            private |= _files(store, registry.address, registry.artifact_root)
    probes["permissions"] = lambda: permissions(private)
    probes["reachable servers"] = lambda: exposure(ports)
    probes["telemetry"] = lambda: telemetry(os.environ)
    probes["versions"] = versions
    return probes


def _of_mlflow(location: Location, registry: MlflowRegistry) -> dict[str, Probe]:
    """Return the probes of MLflow; those that need MLflow wait for the first and find nothing if it does not answer."""
    models, store = location.models, location.storage
    answer = cache(lambda: list(answers(registry, next(iter(models), "none"))))

    def if_there(probe: Probe) -> Probe:
        return lambda: probe() if all(each.severity == "fine" for each in answer()) else ()

    return {
        "MLflow": answer,
        "MLflow address": lambda: address(registry),
        "artifacts": if_there(lambda: artifact_places(registry, models)),
        "champions": if_there(lambda: champions(registry, store, models)),
    }


def _of_location(location: Location) -> dict[str, Probe]:
    instance, repository, name = location.instance, location.repository, location.target.location_name
    return {
        "runs": lambda: runs(instance, location.models),
        "roles": lambda: roles(location.models.values()),
        "sensors": lambda: sensors(instance, repository, name),
        "schedules": lambda: schedules(instance, repository, name, location.models.values()),
    }


def _files(storage: Storage, tracking_uri: str, artifact_root: str | None) -> dict[str, Path]:
    """Return the local files and folders that only this user should write to."""
    found = {"storage": Path(storage.root)}
    if (database := store_of(storage).file) is not None:
        found["the database of records"] = database
    if tracking_uri.startswith("sqlite:///"):
        found["MLflow's database"] = Path(tracking_uri.removeprefix("sqlite:///"))
    if artifact_root and "://" not in artifact_root:
        found["MLflow's artifacts"] = Path(artifact_root)
    return found


def _port(uri: str) -> int | None:
    try:
        return urlsplit(uri).port
    except ValueError:
        return None


def at_once(probes: dict[str, Probe], seconds: float = MOST_SECONDS) -> list[Finding]:
    """Return the findings of all probes, in their order; a probe that fails or takes too long is a finding."""
    late = "Whether it is as it should be is not known."
    found = {name: [fault(name, f"no answer within {seconds:g} s", late, "look at it by hand")] for name in probes}

    def look(name: str) -> None:
        try:
            found[name] = list(probes[name]())
        except Exception as error:  # a probe that fails must not hide the others
            reason = f"could not be looked at: {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            found[name] = [advice(name, reason, late)]

    threads = [threading.Thread(target=look, args=(name,), daemon=True) for name in probes]
    deadline = time.monotonic() + seconds
    with quietly():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [finding for name in probes for finding in found[name]]


def _show(found: Sequence[Finding], counts: Mapping[Severity, int]) -> None:
    """Show faults first, each with its remedy; show what is fine in one line each."""
    screen, rows = console(), Table.grid(padding=(0, 2), expand=True)
    rows.add_column(no_wrap=True)
    rows.add_column(ratio=1)
    for severity, style in _STYLES.items():
        for each in (one for one in found if one.severity == severity):
            lines = [f"[bold]{literal(each.name)}[/bold]: {literal(each.found)}", literal(each.why)]
            lines.append(f"[cyan]{literal(each.mend)}[/cyan]" if each.mend else "")
            rows.add_row(f"[{style}]{severity}[/]", "\n".join(line for line in lines if line))
    screen.print(rows)
    screen.print(f"\nfaults: {counts['fault']}, advice: {counts['advice']}, fine: {counts['fine']}")
