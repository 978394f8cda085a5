"""The connection to MLflow: its address, its time limits, and one kind of error for every failure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
from pydantic import Field

from mlops_assets.errors import MlopsAssetsError, RegistryError
from mlops_assets.resources.lazy import mlflow
from mlops_assets.resources.mlflow.calls import (
    ENVIRONMENT,
    alone_on,
    is_server,
    local_folder,
    sqlite_file,
    without_credentials,
)
from mlops_assets.resources.mlflow.model_files import configure_mlflow
from mlops_assets.resources.mlflow.schema_guard import guard
from mlops_assets.uncollected import uncollected

VIEW = "?workflowType=machine_learning"  # without it MLflow 3 opens its view for GenAI, where runs are "evaluations"

_ANSWERED = {"RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE", "INVALID_STATE"}
_POOL = re.compile(r"HTTPS?ConnectionPool\([^)]*\): Max retries exceeded with url: \S+ ")
_PREPARED: set[str] = set()
_CLIENTS = {
    "boto3": "boto3 (pip install 'mlops-assets[s3]')",
    "google": "google-cloud-storage",
    "azure": "azure-storage-blob and azure-identity",
}
"""What MLflow's client imports for artifacts that it fetches from a store itself, and what to install."""


class MlflowConnection(dg.ConfigurableResource):  # type: ignore[type-arg]
    """MLflow's address, time limit and retries; every failure of MLflow is a `RegistryError`."""

    tracking_uri: str = Field(
        description="MLflow server or database, as `http://host:5000` or `sqlite:////path/mlflow.db`. "
        "Credentials belong in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD; an address that holds them is "
        "written as `$NAME`, an environment variable that is read when connecting, since Dagster shows this value."
    )
    artifact_root: str | None = Field(
        default=None,
        description="Folder or URI for artifacts of new experiments. A server has a place of its own: name one only to "
        "go round it, as in `s3://bucket/mlflow`, or a folder that every machine mounts.",
    )
    model_cache: str | None = Field(
        default=None,
        description="Folder of this machine for copies of models that a server or an object store keeps, verified by "
        "digest whenever one is read; by default `mlops_assets/models` in the user's cache folder.",
    )
    ui_url: str = Field(default="http://127.0.0.1:5000", description="Where people open MLflow, for links.")
    timeout_seconds: int = Field(default=10, ge=1, description="Seconds that one request to a server may take.")
    retries: int = Field(default=2, ge=0, description="How often a failed request is repeated.")

    def prepare(self) -> None:
        """Create the tables of an empty database before anything else opens it."""
        with self._asking("prepare its database"):
            pass

    @property
    def address(self) -> str:
        """The address of MLflow; if `tracking_uri` is `$NAME`, the value of that environment variable."""
        if not self.tracking_uri.startswith("$"):
            return self.tracking_uri
        name = self.tracking_uri.removeprefix("$")
        if not os.environ.get(name):
            raise RegistryError(f"the environment variable {name}, which holds the address of MLflow, is not set")
        return os.environ[name]

    @property
    def artifact_folder(self) -> Path | None:
        """The folder below which artifacts must lie; None for a server, another database, or a remote root."""
        if self.artifact_root is None or not self.address.startswith("sqlite:"):
            return None
        folder = local_folder(self.artifact_root)
        return folder and folder.absolute()

    def _page(self, route: str) -> str:
        return f"{without_credentials(self.ui_url).rstrip('/')}/#/{route}{VIEW}"

    @contextmanager
    def _asking(self, what: str) -> Iterator[mlflow.MlflowClient]:
        """Yield a client; raise `RegistryError` for everything that goes wrong while it is used."""
        try:
            yield self._client()
        except MlopsAssetsError:
            raise
        except Exception as error:  # MLflow lets through what its stores raise: SQL, HTTP, cloud SDKs
            place = without_credentials(self.address)
            message = f"MLflow at {place} did not {what}: {self._reason(error)}{_what_to_do(error)}"
            # The chained error may carry credentials of the address, and Dagster prints the whole chain.
            raise RegistryError(message) from (None if "@" in self.address else error)

    def _client(self) -> mlflow.MlflowClient:
        configure_mlflow()
        with ENVIRONMENT:
            os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(self.timeout_seconds)
            os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = str(self.retries)
            os.environ["MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER"] = "false"  # a server could ask for an hour
        if self.address not in _PREPARED and not is_server(self.address):
            # The first client creates the tables of an empty database, or migrates them.
            with alone_on(self.address), uncollected:
                if (file := sqlite_file(self.address)) is not None:
                    guard(file)
                client = mlflow.MlflowClient(tracking_uri=self.address, registry_uri=self.address)
                client.search_experiments(max_results=1)
                client.search_registered_models(max_results=1)
            _PREPARED.add(self.address)
        return mlflow.MlflowClient(tracking_uri=self.address, registry_uri=self.address)

    def _reason(self, error: Exception) -> str:
        lines = str(error).strip().splitlines() or [""]
        said = _POOL.sub("", lines[0])  # the cause comes last, and the text is cut
        text = f"{type(error).__name__}: {without_credentials(said)}"
        password = urlsplit(self.address).password
        for secret in {password, unquote(password or "")} - {None, ""}:
            text = text.replace(str(secret), "***")
        return text[:300].rstrip(". ")


def _what_to_do(error: Exception) -> str:
    """Return what the class or the text of MLflow's error asks for, as the end of a message."""
    text = str(error)
    missing = (getattr(error, "name", None) or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if package := _CLIENTS.get(missing):
        return f". Its artifacts need {package} on each machine; artifacts that the server keeps need nothing"
    if getattr(error, "error_code", "") in _ANSWERED:
        return ""
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return ". Set MLFLOW_TRACKING_SERVER_CERT_PATH to the file of the authority that signed its certificate"
    if "401" in text or "authenticated" in text:
        return ". Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    return ". Is the server up?"
