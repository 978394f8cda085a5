"""The model registry: MLflow's runs, artifacts, versions and the alias `champion`, by explicit run ids only."""

import json
import os
import posixpath
import re
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import dagster as dg
from pydantic import Field, PrivateAttr

from mlops_assets.errors import ArtifactError, MlopsAssetsError, RegistryError
from mlops_assets.resources.mlflow_calls import (
    ENVIRONMENT,
    TAG_LENGTH,
    TrialRecord,
    alone_on,
    as_version,
    checked_artifact,
    checked_model,
    fetched,
    log_batches,
    log_key,
    no_http_retries,
    or_none,
    unless_exists,
    version_tags,
    without_credentials,
)
from mlops_assets.resources.model_files import Serialization, configure_mlflow, digest_of, load_model, verify_digest
from mlops_assets.resources.model_version import ModelVersion

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"

_MODEL_FOLDER = "model"
_VIEW = "?workflowType=machine_learning"  # else MLflow 3 opens its view for GenAI, where runs are "evaluations"
_ALIAS_ATTEMPTS = 3
_KEPT_MODELS = 4
_ANSWERED = {"RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "INVALID_PARAMETER_VALUE", "INVALID_STATE"}
_PREPARED: set[str] = set()
_LOADED: "OrderedDict[tuple[str, str, tuple[str, ...]], Any]" = OrderedDict()


class MlflowRegistry(dg.ConfigurableResource):  # type: ignore[type-arg]
    """MLflow tracking and registry behind one small face; every failure of MLflow is a `RegistryError`."""

    tracking_uri: str = Field(
        description="MLflow server or database, as `http://host:5000` or `sqlite:////path/mlflow.db`. "
        "Credentials belong in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD."
    )
    artifact_root: str | None = Field(
        default=None, description="Folder or URI for artifacts of new experiments; by default the server's own."
    )
    ui_url: str = Field(default="http://127.0.0.1:5000", description="Where people open MLflow, for links.")
    timeout_seconds: int = Field(default=10, ge=1, description="Seconds that one request to a server may take.")
    retries: int = Field(default=2, ge=0, description="How often a failed request is repeated.")

    _downloads: "tempfile.TemporaryDirectory[str] | None" = PrivateAttr(default=None)

    def prepare(self) -> None:
        """Make the tables of an empty database, so that whatever opens it next finds them."""
        with self._asking("prepare its database"):
            pass

    def start_run(self, model: str, name: str, tags: Mapping[str, Any], parent: str | None = None) -> str:
        """Start a run in the experiment named like the model (made on demand) and return its id."""
        with self._asking(f"start a run of {model}") as client:
            return self._create_run(client, self._experiment_id(client, model), name, tags, parent)

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float | None] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        """Log in batches. Values longer than MLflow takes are shortened, metrics that are not finite left out."""
        with self._asking(f"log to run {run_id}") as client:
            log_batches(client, run_id, params or {}, metrics or {}, tags or {})

    def log_trials(self, run_id: str, trials: Sequence[TrialRecord]) -> None:
        """Log each trial of a search as a nested run: its params, score, std (over folds) and seconds."""
        with self._asking(f"log the trials of run {run_id}") as client:
            experiment_id = client.get_run(run_id).info.experiment_id
            for trial in trials:
                tags = {"error": trial.error} if trial.error else {}
                child = self._create_run(client, experiment_id, f"trial {trial.number}", tags, run_id)
                metrics = {"score": trial.score, "std": trial.std, "seconds": trial.seconds}
                log_batches(client, child, trial.params, metrics, {})
                client.set_terminated(child, "FAILED" if trial.error else "FINISHED")

    def log_file(self, run_id: str, path: Path, folder: str = "") -> None:
        """Attach a file to a run, under `folder`."""
        with self._asking(f"store {path.name!r} in run {run_id}") as client:
            client.log_artifact(run_id, str(path), folder or None)

    def log_bytes(self, run_id: str, name: str, data: bytes) -> None:
        """Attach `data` to a run as the artifact `name`, as in "plots/calibration.png"."""
        folder, file_name = posixpath.split(checked_artifact(name))
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary, file_name)
            path.write_bytes(data)
            self.log_file(run_id, path, folder)

    def log_text(self, run_id: str, name: str, text: str) -> None:
        """Attach a text (UTF-8) to a run as the artifact `name`."""
        self.log_bytes(run_id, name, text.encode())

    def log_json(self, run_id: str, name: str, obj: Any) -> None:
        """Attach a plain JSON value to a run as the artifact `name`."""
        self.log_bytes(run_id, name, json.dumps(obj, indent=2).encode())

    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run."""
        with self._asking(f"give the metrics of run {run_id}") as client:
            return dict(client.get_run(run_id).data.metrics)

    def end_run(self, run_id: str, status: str = "FINISHED") -> None:
        """End a run; `status` is FINISHED, FAILED or KILLED."""
        with self._asking(f"end run {run_id}") as client:
            client.set_terminated(run_id, status)

    def register(self, model: str, folder: Path, run_id: str, tags: Mapping[str, Any]) -> ModelVersion:
        """Upload a saved model to its run, verify what was stored, and make it a version with `tags` and its digest.

        A run has one version: repeated for the same run, it returns the version that exists. Raises `ArtifactError`
        if the stored files differ from those of `folder`, or if that version holds other files.
        """
        digest = digest_of(folder)
        values = version_tags({**tags, "digest": digest})
        existing = self._version_of_run(model, run_id)
        if existing is not None:
            if existing.digest != digest:
                raise ArtifactError(
                    f"run {run_id} is {model} version {existing.version} already, with other files: start a new run"
                )
            return existing
        with self._asking(f"store the model of run {run_id}") as client:
            client.log_artifacts(run_id, str(folder), _MODEL_FOLDER)
            artifact_uri = client.get_run(run_id).info.artifact_uri
        with self._stored_model(run_id, artifact_uri) as stored:
            if digest_of(stored) != digest:
                raise ArtifactError(f"the model stored in run {run_id} differs from {folder}: register it in a new run")
        return self._create_version(model, f"{artifact_uri}/{_MODEL_FOLDER}", run_id, values)

    def find(self, model: str, /, **tags: Any) -> ModelVersion | None:
        """The newest version with all these tags, or None."""
        wanted = {key: str(value) for key, value in tags.items()}
        clauses = [f"tags.`{key}` = '{value}'" for key, value in wanted.items() if re.fullmatch(r"[\w.:+-]+", value)]
        found = (version for version in self._search(model, *clauses) if wanted.items() <= version.tags.items())
        return next(found, None)

    def version(self, model: str, number: int) -> ModelVersion:
        """One version; `RegistryError` if there is none of that number."""
        with self._asking(f"give version {number} of {model}") as client:
            return as_version(client.get_model_version(model, str(number)))

    def versions(self, model: str) -> list[ModelVersion]:
        """All versions, newest first; empty if the model is not registered."""
        return list(self._search(model))

    def champion(self, model: str) -> ModelVersion | None:
        """The version that the alias `champion` names; None if the model or the alias does not exist."""
        with self._asking(f"name the champion of {model}") as client:
            registered = or_none(client.get_registered_model, model)
            number = None if registered is None else registered.aliases.get(CHAMPION)
            found = None if number is None else or_none(client.get_model_version, model, str(number))
            return None if found is None else as_version(found)

    def set_champion(self, model: str, number: int) -> None:
        """Point the alias `champion` at a version. The last writer wins: callers hold the model's pool."""
        from mlflow.exceptions import MlflowException

        with self._asking(f"make version {number} the champion of {model}") as client:
            for attempt in range(1, _ALIAS_ATTEMPTS + 1):
                try:
                    return client.set_registered_model_alias(model, CHAMPION, str(number))
                except MlflowException as error:  # many processes setting one alias at once, seen on SQLite
                    if attempt == _ALIAS_ATTEMPTS or "IntegrityError" not in str(error):
                        raise
                    time.sleep(0.05 * attempt)

    def tag(self, model: str, number: int, tags: Mapping[str, Any]) -> None:
        """Set tags of a version."""
        with self._asking(f"tag version {number} of {model}") as client:
            for key, value in version_tags(tags).items():
                client.set_model_version_tag(model, str(number), key, value)

    def load(self, version: ModelVersion, serialization: Serialization = "skops", trusted: Sequence[str] = ()) -> Any:
        """The fitted model of a version; see `model_files.load_model` for what is refused.

        The stored files are verified against the digest each time. The last few models are kept in this process, to
        be read once, and shared: do not change them.
        """
        described = f"artifact of {version.model} version {version.version}"
        if not version.digest:
            raise ArtifactError(f"{described} has no digest tag, so nothing vouches for it: train and register anew")
        with self._asking(f"give the run of {described}") as client:
            artifact_uri = client.get_run(version.run_id).info.artifact_uri
        if version.source.rstrip("/") != f"{artifact_uri}/{_MODEL_FOLDER}":
            shown = without_credentials(version.source)[:80]
            raise ArtifactError(f"{described} lies outside its run, at {shown!r}: expected the model of its own run")
        key = (version.digest, serialization, tuple(trusted))
        with self._stored_model(version.run_id, artifact_uri, described) as folder:
            if key in _LOADED:
                verify_digest(folder, version.digest, described)
            else:
                _LOADED[key] = load_model(folder, version.digest, serialization, trusted, described)
        _LOADED.move_to_end(key)
        while len(_LOADED) > _KEPT_MODELS:
            _LOADED.popitem(last=False)
        return _LOADED[key]

    def artifact(self, run_id: str, name: str) -> Path:
        """An artifact of a run as a local path, not to be written to; it lasts as long as this resource."""
        checked_artifact(name)
        if self._downloads is None:
            self._downloads = tempfile.TemporaryDirectory()
        with self._asking(f"give {name!r} of run {run_id}") as client:
            artifact_uri = client.get_run(run_id).info.artifact_uri
            return fetched(client, run_id, artifact_uri, name, Path(self._downloads.name, run_id))

    def run_url(self, run_id: str) -> str:
        """Where a person sees the run."""
        with self._asking(f"give run {run_id}") as client:
            experiment_id = client.get_run(run_id).info.experiment_id
        return self._page(f"experiments/{experiment_id}/runs/{run_id}")

    def version_url(self, model: str, number: int) -> str:
        """Where a person sees the version."""
        return self._page(f"models/{quote(model, safe='')}/versions/{number}")

    def artifact_url(self, run_id: str, name: str) -> str:
        """Where a person sees the artifact of a run."""
        return self.run_url(run_id).replace(_VIEW, f"/artifacts/{quote(name)}{_VIEW}")

    def _page(self, route: str) -> str:
        return f"{self.ui_url.rstrip('/')}/#/{route}{_VIEW}"

    @contextmanager
    def _asking(self, what: str) -> "Iterator[MlflowClient]":
        """A client, with everything that goes wrong while it is used told as a `RegistryError`."""
        try:
            yield self._client()
        except MlopsAssetsError:
            raise
        except Exception as error:  # MLflow lets through what its stores raise: SQL, HTTP, cloud SDKs
            code = getattr(error, "error_code", "")
            hint = "" if code in _ANSWERED else ". Is the server up?"
            message = f"MLflow at {without_credentials(self.tracking_uri)} did not {what}: {self._reason(error)}{hint}"
            # The chained error may carry credentials of the address, and Dagster prints the whole chain.
            raise RegistryError(message) from (None if "@" in self.tracking_uri else error)

    def _client(self) -> "MlflowClient":
        configure_mlflow()
        with ENVIRONMENT:
            os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(self.timeout_seconds)
            os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = str(self.retries)
        from mlflow import MlflowClient

        if self.tracking_uri in _PREPARED:
            return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)
        with alone_on(self.tracking_uri):  # the first client makes the tables of a database that has none
            client = MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)
            client.search_experiments(max_results=1)
            client.search_registered_models(max_results=1)
        _PREPARED.add(self.tracking_uri)
        return client

    def _reason(self, error: Exception) -> str:
        lines = str(error).strip().splitlines() or [""]
        text = f"{type(error).__name__}: {without_credentials(lines[0])}"
        password = urlsplit(self.tracking_uri).password
        for secret in {password, unquote(password or "")} - {None, ""}:
            text = text.replace(str(secret), "***")
        return text[:300].rstrip(". ")

    def _experiment_id(self, client: "MlflowClient", model: str) -> str:
        from mlflow.exceptions import MlflowException

        found = client.get_experiment_by_name(model)
        if found is None:
            location = None
            if self.artifact_root is not None:
                is_uri = "://" in self.artifact_root or self.artifact_root.startswith("file:")
                root = self.artifact_root if is_uri else Path(self.artifact_root).absolute().as_uri()
                location = f"{root.rstrip('/')}/{quote(model, safe='')}"
            try:
                return str(client.create_experiment(model, artifact_location=location))
            except MlflowException as error:
                found = client.get_experiment_by_name(model)  # another process may have made it meanwhile
                if found is None:
                    raise error
        return str(found.experiment_id)

    def _create_run(
        self, client: "MlflowClient", experiment_id: str, name: str, tags: Mapping[str, Any], parent: str | None
    ) -> str:
        values = {log_key(key): str(value)[:TAG_LENGTH] for key, value in tags.items()}
        if parent is not None:
            values["mlflow.parentRunId"] = parent
        return str(client.create_run(experiment_id, tags=values, run_name=name).info.run_id)

    def _search(self, model: str, *clauses: str) -> Iterator[ModelVersion]:
        query = " and ".join((f"name = '{checked_model(model)}'", *clauses))
        token: str | None = None
        while token != "":
            with self._asking(f"list the versions of {model}") as client:
                page = client.search_model_versions(
                    query, max_results=200, order_by=["version_number DESC"], page_token=token
                )
            yield from (as_version(entry) for entry in page)
            token = page.token or ""

    def _version_of_run(self, model: str, run_id: str) -> ModelVersion | None:
        return next((found for found in self._search(model, f"run_id = '{run_id}'") if found.run_id == run_id), None)

    def _create_version(self, model: str, source: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        with self._asking(f"register {model}") as client:
            if or_none(client.get_registered_model, checked_model(model)) is None:
                unless_exists(client.create_registered_model, model)
        for attempt in range(self.retries + 1):
            try:
                with self._asking(f"register a version of {model}") as client, no_http_retries():
                    made = client.create_model_version(
                        model, source, run_id=run_id, tags=dict(tags), await_creation_for=0
                    )
                    return as_version(made)
            except RegistryError:  # the answer may be lost and the version made: look before asking again
                found = self._version_of_run(model, run_id)
                if found is not None:
                    return found
                if attempt == self.retries:
                    raise
        raise AssertionError("unreachable")

    @contextmanager
    def _stored_model(self, run_id: str, artifact_uri: str, described: str = "model artifact") -> Iterator[Path]:
        """The model folder of a run: in place if its artifacts are local files, else a copy for the time being."""
        with tempfile.TemporaryDirectory() as temporary:
            try:
                with self._asking(f"give the {described} of run {run_id}") as client:
                    stored = fetched(client, run_id, artifact_uri, _MODEL_FOLDER, Path(temporary))
            except ArtifactError as error:
                raise ArtifactError(f"{described} is missing: {error}") from error
            yield stored
