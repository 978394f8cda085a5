"""Single calls to MLflow: within its limits, safe to repeat, and with names that it allows."""

import fcntl
import math
import os
import posixpath
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlops_assets.errors import ArtifactError, RegistryError
from mlops_assets.resources.mlflow.model_version import ModelVersion

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG_LENGTH = 8_000
ENVIRONMENT = threading.Lock()
"""A lock on the environment, from which MLflow reads its retries: all threads share it."""

_CHUNK = 50  # params or tags a request: 50 of the longest stay below MLflow's 1 MB
_PARAM_LENGTH, _KEY_LENGTH, _VERSION_TAG_LENGTH = 6_000, 250, 100_000


class TrialRecord(Protocol):
    """The fields of a search's trial that `log_trials` reads; `error` is None or "" for a trial that succeeded."""

    @property
    def number(self) -> int: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def score(self) -> float | None: ...
    @property
    def std(self) -> float | None: ...
    @property
    def seconds(self) -> float: ...
    @property
    def error(self) -> str | None: ...


def without_credentials(uri: str) -> str:
    """Return `uri`, or a text that holds a URI, without user, password and query."""
    return re.sub(r"(?<=://)[^/\s]*@", "", re.sub(r"(://[^\s?]*)\?\S*", r"\1", uri))


def log_batches(
    client: "MlflowClient",
    run_id: str,
    params: Mapping[str, Any],
    metrics: Mapping[str, float | None],
    tags: Mapping[str, Any],
) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = time.time_ns() // 1_000_000
    finite = {
        log_key(key): float(value) for key, value in metrics.items() if value is not None and math.isfinite(value)
    }
    all_metrics = [Metric(key, value, now, 0) for key, value in finite.items()]
    all_params = [Param(log_key(key), str(value)[:_PARAM_LENGTH]) for key, value in params.items()]
    all_tags = [RunTag(log_key(key), str(value)[:TAG_LENGTH]) for key, value in tags.items()]
    for start in range(0, max(len(all_metrics), len(all_params), len(all_tags)), _CHUNK):
        part = slice(start, start + _CHUNK)
        client.log_batch(run_id, metrics=all_metrics[part], params=all_params[part], tags=all_tags[part])


def log_key(name: str) -> str:
    """Return `name` with characters replaced that MLflow does not allow, so that "f1[region=north]" can be logged."""
    allowed = re.sub(r"[^/\w.\- :]", "_", str(name))[:_KEY_LENGTH]
    return allowed if posixpath.normpath(allowed) == allowed and allowed[0] not in "./" else allowed.replace("/", "_")


def version_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    values = {str(key): str(value) for key, value in tags.items()}
    long = [key for key, value in values.items() if len(value) > _VERSION_TAG_LENGTH]
    if long:
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


def as_version(found: Any) -> ModelVersion:
    tags = dict(found.tags)
    created = int(found.creation_timestamp)
    return ModelVersion(
        found.name, int(found.version), tags.get("digest", ""), found.run_id or "", tags, created, found.source or ""
    )


def or_none(ask: Any, *args: str) -> Any:
    """Return MLflow's answer, None if MLflow says that the object does not exist."""
    from mlflow.exceptions import MlflowException

    try:
        return ask(*args)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def unless_exists(create: Any, *args: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        create(*args)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


@contextmanager
def alone_on(tracking_uri: str) -> Iterator[None]:
    """Keep other processes of this machine from creating the tables of the same SQLite file at the same time.

    MLflow creates them at first use, and of two processes that begin together one fails.
    """
    path = Path(tracking_uri.removeprefix("sqlite:///"))
    if not tracking_uri.startswith("sqlite:///") or not path.parent.is_dir():
        yield
        return
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def no_http_retries() -> Iterator[None]:
    """Switch off MLflow's retries: a repeated POST whose answer was lost would create a second version."""
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


def fetched(client: "MlflowClient", run_id: str, artifact_uri: str, name: str, copies: Path) -> Path:
    """Return the path of an artifact: in place if it is a local file, else of a copy in the folder `copies`."""
    local = local_folder(artifact_uri)
    try:
        path = local / name if local is not None else Path(client.download_artifacts(run_id, name, str(copies)))
    except Exception as error:  # each artifact store raises its own kind
        status = getattr(getattr(error, "response", None), "status_code", None)  # a server that keeps the artifacts
        if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST" and status != 404:
            raise
        raise ArtifactError(f"run {run_id} has no artifact {name!r}; was it deleted?") from error
    if not path.exists():
        raise ArtifactError(f"run {run_id} has no artifact {name!r}; was it deleted?")
    return path
