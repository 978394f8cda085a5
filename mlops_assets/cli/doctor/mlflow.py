"""MLflow: whether it answers, how long it may take, and whether its address holds a secret."""

import ipaddress
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from mlops_assets.cli.code_location import missing_database
from mlops_assets.cli.doctor.findings import Finding, advice, fault, fine
from mlops_assets.resources.mlflow.calls import without_credentials
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.sensors.registry_probe import why_no_answer

_LONGEST_REQUEST = 120


def answers(registry: MlflowRegistry, model: str) -> Iterator[Finding]:
    """Check that the registry answers within a few seconds; `model` is any name."""
    if missing := missing_database(registry):
        yield advice("MLflow", f"there is no database at {missing}", "The first training makes it.")
        return
    reason = why_no_answer(registry, model)
    why = "Nothing is trained, scored or promoted without it; sensors go on and ask again."
    away = fault("MLflow", reason, why, "start it, or set MLFLOW_TRACKING_URI to where it is")
    yield away.unless(not reason, f"answers at {without_credentials(registry.address)}")


def address(registry: MlflowRegistry) -> Iterator[Finding]:
    """Check how long MLflow may take, and whether its address holds a secret."""
    seconds = registry.timeout_seconds * (registry.retries + 1)
    limits = f"a request may take {registry.timeout_seconds} s and is repeated {registry.retries} times"
    why = f"While MLflow is away, a step waits {seconds} s for each request and holds its slot meanwhile."
    patient = fault("MLflow timeouts", limits, why, "MlflowRegistry(timeout_seconds=10, retries=2)")
    yield patient.unless(seconds <= _LONGEST_REQUEST, limits)
    yield _address(registry)


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


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address, which no other machine reaches."""
    try:
        addresses = [str(information[4][0]) for information in socket.getaddrinfo(host or "localhost", None)]
    except OSError:
        return False
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)
