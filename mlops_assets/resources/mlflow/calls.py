"""Single calls to MLflow: within its limits, safe to repeat, and with names that it allows."""

from __future__ import annotations

import fcntl
import ipaddress
import math
import os
import posixpath
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlops_assets.errors import RegistryError
from mlops_assets.resources.lazy import mlflow
from mlops_assets.resources.mlflow.model_version import ModelVersion

Made = TypeVar("Made")

TAG_LENGTH = 8_000
ENVIRONMENT = threading.Lock()
"""A lock on the environment, from which MLflow reads its retries: all threads share it."""

_NOTHING_DONE = ("RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS")
_CHUNK = 50  # params or tags a request: 50 of the longest stay below MLflow's 1 MB
_PARAM_LENGTH, _KEY_LENGTH, _VERSION_TAG_LENGTH = 6_000, 250, 100_000


def without_credentials(uri: str) -> str:
    """Return `uri`, or a text that holds a URI, without user, password and query."""
    return re.sub(r"(?<=://)[^/\s]*@", "", re.sub(r"(://[^\s?]*)\?\S*", r"\1", uri))


def is_server(address: str) -> bool:
    """Return whether an address is a server's, which keeps runs and may keep artifacts, and not a database's."""
    return urlsplit(address).scheme in ("http", "https")


def sqlite_file(address: str) -> Path | None:
    """Return the file of an SQLite address, None for a server or another database."""
    return Path(address.removeprefix("sqlite:///").partition("?")[0]) if address.startswith("sqlite:///") else None


def default_artifact_root(tracking_uri: str, home: Path) -> str | None:
    """Return `mlartifacts` in a home, None for a server: it keeps artifacts where all its clients get them.

    tracking_uri: an address, or `$NAME` of an environment variable with it.
    """
    address = os.environ.get(tracking_uri[1:], "") if tracking_uri.startswith("$") else tracking_uri
    return None if is_server(address) else str(home / "mlartifacts")


def is_loopback(host: str) -> bool:
    """Return whether a host is a loopback address, which no other machine reaches."""
    try:
        addresses = [str(information[4][0]) for information in socket.getaddrinfo(host or "localhost", None)]
    except OSError:
        return False
    return all(ipaddress.ip_address(address).is_loopback for address in addresses)


def log_batches(
    client: mlflow.MlflowClient,
    run_id: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float | None],
    tags: Mapping[str, Any],
) -> None:
    now, entities = time.time_ns() // 1_000_000, mlflow.entities
    finite = {key: value for key, value in metrics.items() if value is not None and math.isfinite(value)}
    all_metrics = [entities.Metric(log_key(key), float(value), now, 0) for key, value in finite.items()]
    all_params = [entities.Param(log_key(key), str(value)[:_PARAM_LENGTH]) for key, value in params.items()]
    all_tags = [entities.RunTag(log_key(key), str(value)[:TAG_LENGTH]) for key, value in tags.items()]
    for start in range(0, max(len(all_metrics), len(all_params), len(all_tags)), _CHUNK):
        part = slice(start, start + _CHUNK)
        client.log_batch(run_id, metrics=all_metrics[part], params=all_params[part], tags=all_tags[part])


def log_key(name: str) -> str:
    """Return `name` with characters replaced that MLflow does not allow, so that "f1[region=north]" can be logged."""
    allowed = re.sub(r"[^/\w.\- :]", "_", str(name))[:_KEY_LENGTH]
    return allowed if posixpath.normpath(allowed) == allowed and allowed[0] not in "./" else allowed.replace("/", "_")


def version_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    values = {str(key): str(value) for key, value in tags.items()}
    if long := [key for key, value in values.items() if len(value) > _VERSION_TAG_LENGTH]:
        raise RegistryError(f"tags {long} are longer than {_VERSION_TAG_LENGTH} characters: log them as artifacts")
    return values


def checked_model(model: str) -> str:
    if not model or re.search(r"['\"`/:\\\n]", model):
        raise RegistryError(f"{model[:80]!r} cannot name a registered model: leave out quotes, slashes and colons")
    return model


def checked_artifact(name: str) -> str:
    if not name or posixpath.normpath(name) != name or name.startswith(("/", "..")) or name == "." or "\\" in name:
        raise RegistryError(f"{name[:80]!r} cannot name an artifact: expected a relative path such as 'plots/roc.png'")
    return name


def as_version(entry: Any) -> ModelVersion:
    tags = dict(entry.tags)
    return ModelVersion(
        model=entry.name,
        version=int(entry.version),
        digest=tags.get("digest", ""),
        run_id=entry.run_id or "",
        tags=tags,
        created=int(entry.creation_timestamp),
        source=entry.source or "",
    )


def or_none(ask: Callable[..., Any], *args: str) -> Any:
    """Return MLflow's answer, None if the object does not exist or, for a creation, exists already."""
    try:
        return ask(*args)
    except Exception as error:  # each artifact store raises its own kind
        status = getattr(getattr(error, "response", None), "status_code", None)  # a server that keeps the artifacts
        if getattr(error, "error_code", "") not in _NOTHING_DONE and status != 404:
            raise
        return None


@contextmanager
def alone_on(tracking_uri: str) -> Iterator[None]:
    """Keep other processes of this machine from creating the tables of the same SQLite file at the same time.

    MLflow creates them at first use, and of two processes that begin together one fails.
    """
    path = sqlite_file(tracking_uri)
    if path is None or not path.parent.is_dir():
        yield
        return
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def made_once(make: Callable[[], Made], there: Callable[[], Made | None], retries: int) -> Made:
    """Return what `make` creates, or what `there` finds of it: an answer may be lost although the thing was made.

    `make` sends its request inside `no_http_retries`.
    """
    for attempt in range(retries + 1):
        try:
            return make()
        except Exception:  # of MLflow, or a `RegistryError`
            if (found := there()) is not None:
                return found
            if attempt == retries:
                raise
        time.sleep(2.0**attempt)  # as long as MLflow waits before it repeats a request
    raise AssertionError("unreachable")


@contextmanager
def no_http_retries() -> Iterator[None]:
    """Switch off MLflow's retries: a repeated POST whose answer was lost would create a second run or version."""
    with ENVIRONMENT:
        before = os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]
        os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
        try:
            yield
        finally:
            os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = before


def local_folder(artifact_uri: str) -> Path | None:
    """Return the folder of a run's artifacts if they are local files, else None; MLflow would copy them each time."""
    parts = urlsplit(artifact_uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return None if parts.scheme else Path(artifact_uri)
