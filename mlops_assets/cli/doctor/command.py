"""The command: it looks at everything at once, each part within a time limit, and says what to do."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import typer
from rich.table import Table

from mlops_assets.cli.code_location import Directory, Location, Module, PythonFile, env_file, instance_of, sqlite_file
from mlops_assets.cli.doctor import (
    champions,
    daemons,
    databases,
    exposure,
    machine,
    mlflow,
    records,
    runs,
    servers,
    settings,
    storage,
)
from mlops_assets.cli.doctor.findings import Finding, Severity, advice, fault, fine
from mlops_assets.cli.output import WRONG, AsJson, console, literal, one_line, quietly, say_json
from mlops_assets.cli.target import target_of
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.file_systems import is_local
from mlops_assets.records.typed import store_of
from mlops_assets.resources.mlflow.calls import local_folder
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.resources.storage.files import local_path
from mlops_assets.text import reason

Probe = Callable[[], Iterable[Finding]]

_STYLES = {"fault": "bold red", "advice": "yellow", "fine": "green"}


def doctor(
    module: Module = None,
    python_file: PythonFile = None,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Say what this instance lacks for the promises to hold, why it matters and how to mend it. Exit 1 on a fault."""
    with ExitStack() as stack:
        findings = list(_examined(stack, module, python_file, directory))
    counts = Counter(finding.severity for finding in findings)
    if as_json:
        say_json({"faults": counts["fault"], "advice": counts["advice"], "findings": findings})
    else:
        _show(findings, counts)
    if counts["fault"]:
        raise typer.Exit(WRONG)


def _examined(
    stack: ExitStack, module: str | None, python_file: Path | None, directory: Path | None
) -> Iterator[Finding]:
    """Yield all findings; what cannot be opened is a finding, and everything else is looked at all the same."""
    target = instance = location = None
    try:
        target = target_of(module, python_file, directory)
    except MlopsAssetsError as error:
        yield _no_location(error)
    stack.enter_context(env_file())
    try:
        instance = stack.enter_context(instance_of())
        yield fine("instance", os.environ["DAGSTER_HOME"])
    except MlopsAssetsError as error:
        why = "Nothing is on record without it, and settings cannot be looked at."
        yield fault("instance", str(error), why, servers.way_to_open(error))
    if target is not None:
        try:
            if instance is not None:
                instance.inject_env_vars(target.location_name)
            repository = target.load()
            yield fine("code location", str(target))
            stand_in = instance or stack.enter_context(dg.DagsterInstance.ephemeral())  # its servers are looked at too
            location = Location(target, repository, stand_in, stack)
        except MlopsAssetsError as error:
            yield _no_location(error)
    yield from at_once(_probes(instance, location))


def _no_location(error: MlopsAssetsError) -> Finding:
    return fault("code location", str(error), "No sensor, schedule or model runs from it.", "mend what it says")


def _probes(instance: dg.DagsterInstance | None, location: Location | None) -> dict[str, Probe]:
    """Return the probes by name that the instance and the code location allow."""
    probes: dict[str, Probe] = {}
    private: dict[str, Path] = {}
    ports: set[int | None] = {3000, 5000}  # of Dagster and MLflow by default
    models = list(location.models) if location is not None else []
    if instance is not None:
        private["DAGSTER_HOME"] = Path(os.environ["DAGSTER_HOME"])
        probes["settings"] = lambda: settings.settings(instance, models)
        probes["daemon"] = lambda: daemons.daemons(instance)
        probes["Dagster's schema"] = lambda: databases.schema_of_dagster(instance)
        probes["pool slots"] = lambda: daemons.slots(instance)
    if location is not None:
        probes["roles"] = lambda: databases.roles(location.models.values())
        probes |= _of_location(location) if instance is not None else {}
        try:
            registry, store = location.registry, location.storage
            root, address = store.root, registry.address
        except Exception as error:  # a resource of the user's may raise anything
            unusable = fault("resources", one_line(error), "No step of a model can run.", "mend what it says")
            probes["resources"] = lambda: [unusable]
        else:
            probes |= _of_mlflow(location, registry)
            probes["storage"] = lambda: storage.storage(root, store.database)
            probes["records"] = lambda: records.records(store, models)
            if instance is not None:
                probes["reached by runs"] = lambda: servers.reached(instance, root, store_of(store).file, address)
            private |= _files(store, registry)
            for uri in (address, registry.ui_url):
                with suppress(ValueError):  # an address whose port is not a number
                    ports.add(urlsplit(uri).port)
    probes["permissions"] = lambda: machine.permissions(private)
    probes["reachable servers"] = lambda: exposure.exposure(ports)
    probes["telemetry"] = lambda: machine.telemetry(os.environ)
    probes["versions"] = machine.versions
    return probes


def _of_mlflow(location: Location, registry: MlflowRegistry) -> dict[str, Probe]:
    """Return the probes of MLflow; those that need its answer wait for it, and yield nothing if there is none."""
    models, store = location.models, location.storage
    once = registry.model_copy(update={"retries": 0})  # its store may be away: each retry would wait as long
    answer = cache(lambda: list(mlflow.answers(registry, next(iter(models), "none"))))

    def if_it_answers(probe: Probe) -> Probe:
        return lambda: probe() if answer()[0].severity == "fine" else ()

    return {
        "MLflow": answer,
        "MLflow's schema": lambda: (finding for finding in mlflow.schema(registry) if finding.severity == "fine"),
        "MLflow address": lambda: mlflow.address(registry),
        "artifacts": if_it_answers(lambda: champions.artifact_places(registry, models)),
        "experiments": if_it_answers(lambda: mlflow.experiments(registry, models)),
        "champions": if_it_answers(lambda: champions.champions(once, store, models)),
    }


def _of_location(location: Location) -> dict[str, Probe]:
    """Return the probes of what the instance knows of the code location."""
    instance, repository, name = location.instance, location.repository, location.target.location_name
    models = location.models
    return {
        "runs": lambda: runs.runs(instance, models),
        "sensors": lambda: daemons.sensors(instance, repository, name),
        "schedules": lambda: daemons.schedules(instance, repository, name, models.values()),
    }


def _files(store: Storage, registry: MlflowRegistry) -> dict[str, Path]:
    """Return the local files and folders that only this user should write to."""
    paths = {
        "storage": local_path(store.root) if is_local(store.root) else None,
        "the database of records": store_of(store).file,
        "MLflow's database": sqlite_file(registry),
        "MLflow's artifacts": local_folder(registry.artifact_root) if registry.artifact_root else None,
    }
    return {name: path for name, path in paths.items() if path is not None}


def at_once(probes: dict[str, Probe], seconds: float = 60.0) -> list[Finding]:
    """Return the findings of all probes, in their order; a probe that fails or takes too long is a finding."""
    unknown = "Its state is not known."
    late, by_hand = f"no answer within {seconds:g} s", "look at it by hand"
    findings = {name: [fault(name, late, unknown, by_hand)] for name in probes}

    def look(name: str) -> None:
        try:
            findings[name] = list(probes[name]())
        except Exception as error:  # a probe that fails must not hide the others
            findings[name] = [advice(name, f"could not be looked at: {reason(error)}", unknown)]

    threads = [threading.Thread(target=look, args=(name,), daemon=True) for name in probes]
    deadline = time.monotonic() + seconds
    with quietly():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return [finding for name in probes for finding in findings[name]]


def _show(findings: Sequence[Finding], counts: Mapping[Severity, int]) -> None:
    """Show faults first, each with its remedy; show what is fine in one line each."""
    screen, rows = console(), Table.grid(padding=(0, 2), expand=True)
    rows.add_column(no_wrap=True)
    rows.add_column(ratio=1)
    for finding in sorted(findings, key=lambda finding: list(_STYLES).index(finding.severity)):
        name, found, why, mend = map(literal, (finding.name, finding.found, finding.why, finding.mend))
        lines = [f"[bold]{name}[/bold]: {found}", why, mend and f"[cyan]{mend}[/cyan]"]
        rows.add_row(f"[{_STYLES[finding.severity]}]{finding.severity}[/]", "\n".join(filter(None, lines)))
    screen.print(rows)
    screen.print(f"\nfaults: {counts['fault']}, advice: {counts['advice']}, fine: {counts['fine']}")
