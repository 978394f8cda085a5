"""MLflow: whether it answers, how long it may take, and whether its address holds a secret."""

import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from urllib.parse import urlsplit

from mlops_assets.cli.code_location import missing_database
from mlops_assets.cli.doctor.findings import Finding, advice, fault, fine
from mlops_assets.resources.mlflow.artifact_places import WAY_OUT
from mlops_assets.resources.mlflow.calls import is_loopback, is_server, sqlite_file, without_credentials
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.mlflow.schema_guard import refusal
from mlops_assets.resources.schema_revisions import compared, newest_revision, revision_of_file, revision_of_server
from mlops_assets.sensors.registry_probe import PATIENCE, why_no_answer

_LONGEST_REQUEST = 120
_SLOW = 1.5
"""Seconds for one answer; the first one on a busy machine takes half a second."""


def answers(registry: MlflowRegistry, model: str) -> Iterator[Finding]:
    """Check that the registry answers within a few seconds; `model` is any name."""
    if missing := missing_database(registry):
        yield advice("MLflow", f"there is no database at {missing}", "The first training makes it.")
        return
    if migrating := [finding for finding in schema(registry) if finding.severity != "fine"]:
        yield from migrating  # asking MLflow anything would migrate its database
        return
    begin = time.perf_counter()
    reason = why_no_answer(registry, model)
    seconds = time.perf_counter() - begin
    why = "Nothing is trained, scored or promoted without it; sensors go on and ask again."
    away = fault("MLflow", reason, why, "start it, or set MLFLOW_TRACKING_URI to where it is")
    yield away.unless(not reason, f"answers at {without_credentials(registry.address)}, in {seconds:.2f} s")
    if not reason and seconds > _SLOW:
        why = f"A training asks it some forty times; sensors give up after {PATIENCE} s, and what needs it waits."
        yield advice("MLflow's answers", f"one took {seconds:.1f} s", why, "look at its machine and its database")


def schema(registry: MlflowRegistry) -> Iterator[Finding]:
    """Compare the schema of MLflow's database with this client's, without opening it for writing.

    The database of a server is the server's: it alone opens it.
    """
    if is_server(registry.address):
        return
    file = sqlite_file(registry.address)
    revision = revision_of_server(registry.address) if file is None else revision_of_file(file)
    if not revision:
        return
    found = f"schema {revision}; MLflow {version('mlflow')}, installed here, writes {newest_revision('mlflow')}"
    state, name = compared(revision, "mlflow"), "MLflow's schema"
    if state == "equal":
        yield fine(name, found)
    elif state == "older":
        kept = "is copied aside first" if file is not None else "is not copied: make a backup first"
        why = f"The next process that opens it migrates it, or says that it must be migrated. The database {kept}."
        mend = "end processes with an older MLflow; where MLflow asks for it, run `mlflow db upgrade <address>`"
        yield advice(name, found, f"{why} An older MLflow cannot read it from then on.", mend)
    else:
        why = "Nothing is trained, scored or promoted: this MLflow refuses the database."
        newer = refusal(file, revision) if file is not None else f"a newer MLflow has migrated it: {found}"
        yield fault(name, newer, why, "install the version that migrated it, or put back the database of before")


def address(registry: MlflowRegistry) -> Iterator[Finding]:
    """Check how long MLflow may take, and whether its address holds a secret."""
    seconds = registry.timeout_seconds * (registry.retries + 1)
    limits = f"a request may take {registry.timeout_seconds} s and is repeated {registry.retries} times"
    why = f"While MLflow is away, a step waits {seconds} s for each request and holds its slot meanwhile."
    patient = fault("MLflow timeouts", limits, why, "MlflowRegistry(timeout_seconds=10, retries=2)")
    yield patient.unless(seconds <= _LONGEST_REQUEST, limits)
    yield _address(registry)


def experiments(registry: MlflowRegistry, models: Iterable[str]) -> Iterator[Finding]:
    """Check that no experiment of a server keeps the artifacts of a model in a folder of one machine.

    Training goes on where the folder is, so this is what tells a user before a second machine fails.
    """
    if not is_server(registry.address):
        return
    folders = registry.local_experiments()
    local = {model: folders[model] for model in models if model in folders}
    # A server on loopback and its clients are on one machine, which can read the folder.
    finding = advice if is_loopback(urlsplit(registry.address).hostname or "") else fault
    why = "Another machine can neither load these models nor train: MLflow keeps the place of an experiment for ever."
    for model, folder in local.items():
        yield finding(f"artifacts of {model}", f"MLflow's server keeps them at {folder}", why, WAY_OUT)
    if not local:
        yield fine("artifacts", "every machine gets them, from MLflow's server or from where it keeps them")


def _address(registry: MlflowRegistry) -> Finding:
    name, parts = "MLflow address", urlsplit(registry.address)
    if parts.password and not registry.tracking_uri.startswith("$"):
        why = "The configuration of resources is shown in Dagster's UI, unless it is `$NAME` or a dg.EnvVar."
        mend = "take it out of the address and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        return advice(name, "holds a password", why, f"{mend}; for a database write `$NAME`, an environment variable")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        why = "Names, passwords and models go over the network unencrypted."
        return advice(name, f"http to {parts.hostname}", why, "serve MLflow by https")
    if parts.scheme == "sqlite":
        why = "An SQLite file serves the processes of one machine only; MLflow's UI needs a server on that machine."
        return advice(name, "SQLite", why, "on more than one machine set MLFLOW_TRACKING_URI to a server's address")
    return fine(name, without_credentials(registry.address))
