"""The model registry: versions, their artifacts and the alias `champion`, beside MLflow's runs."""

from __future__ import annotations

import re
import tempfile
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlops_assets.errors import ArtifactError, MisplacedArtifactError, MissingArtifactError
from mlops_assets.resources.lazy import mlflow
from mlops_assets.resources.mlflow import calls
from mlops_assets.resources.mlflow.artifact_places import MODEL_FOLDER, model_of_run
from mlops_assets.resources.mlflow.calls import as_version, is_server, or_none
from mlops_assets.resources.mlflow.model_copies import ModelCopies
from mlops_assets.resources.mlflow.model_files import Serialization, digest_of, load_model, size_of, verify_digest
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.runs import MlflowRuns

CHAMPION = "champion"

_ALIAS_ATTEMPTS = 3
_KEPT_MODELS = 4
_LOADED: OrderedDict[tuple[str, str, tuple[str, ...]], Any] = OrderedDict()
_SIZES: dict[str, int] = {}  # by digest, which includes the sizes of the files


class MlflowRegistry(MlflowRuns):
    """MLflow's tracking and registry behind a small interface; every failure of MLflow is a `RegistryError`."""

    def register(self, model: str, folder: Path, run_id: str, tags: Mapping[str, Any]) -> ModelVersion:
        """Upload a saved model to its run, verify the stored files, and make it a version with `tags` and its digest.

        A run has one version: a second call for a run returns the existing version. Raise `ArtifactError` if the
        stored files differ from the files of `folder`, or if the existing version holds other files.
        """
        digest = digest_of(folder)
        values = calls.version_tags({**tags, "digest": digest})
        existing = self.version_of_run(model, run_id)
        if existing is not None:
            if existing.digest != digest:
                raise ArtifactError(
                    f"run {run_id} is {model} version {existing.version} already, with other files: start a new run"
                )
            return existing
        with self._asking(f"store the model of run {run_id}") as client:
            self._may_write(client, run_id)
            client.log_artifacts(run_id, str(folder), MODEL_FOLDER)
            artifact_uri = self._places(client, run_id)[1]
        with self._stored_model(run_id, artifact_uri) as stored:
            if digest_of(stored) != digest:
                raise ArtifactError(f"the model stored in run {run_id} differs from {folder}: register it in a new run")
            if calls.local_folder(artifact_uri) is None:
                ModelCopies(self.model_cache).keep(stored, digest)
        return self._create_version(model, f"{artifact_uri}/{MODEL_FOLDER}", run_id, values)

    def version(self, model: str, number: int) -> ModelVersion:
        """Return the version of this number; raise `RegistryError` if it does not exist."""
        with self._asking(f"give version {number} of {model}") as client:
            return as_version(client.get_model_version(model, str(number)))

    def version_of_run(self, model: str, run_id: str) -> ModelVersion | None:
        """Return the newest version that was registered for a run."""
        return next((one for one in self._search(model, f"run_id = '{run_id}'") if one.run_id == run_id), None)

    def versions(self, model: str) -> list[ModelVersion]:
        """Return all versions, newest first; empty if the model is not registered."""
        return list(self._search(model))

    def champion(self, model: str) -> ModelVersion | None:
        """Return the version that the alias `champion` names; None if the model or the alias does not exist."""
        with self._asking(f"name the champion of {model}") as client:
            entry = _champion(client, model, at_once=is_server(self.address))
            return None if entry is None else as_version(entry)

    def set_champion(self, model: str, number: int) -> None:
        """Point the alias `champion` at a version. The last writer wins: callers hold the model's pool."""
        with self._asking(f"make version {number} the champion of {model}") as client:
            for attempt in range(1, _ALIAS_ATTEMPTS + 1):
                try:
                    return client.set_registered_model_alias(model, CHAMPION, str(number))
                except mlflow.exceptions.MlflowException as error:  # seen on SQLite with many writers of an alias
                    if attempt == _ALIAS_ATTEMPTS or "IntegrityError" not in str(error):
                        raise
                    time.sleep(0.05 * attempt)

    def tag(self, model: str, number: int, tags: Mapping[str, Any]) -> None:
        """Set tags of a version."""
        with self._asking(f"tag version {number} of {model}") as client:
            for key, value in calls.version_tags(tags).items():
                client.set_model_version_tag(model, str(number), key, value)

    def load(self, version: ModelVersion, serialization: Serialization = "skops", trusted: Sequence[str] = ()) -> Any:
        """Return the fitted model of a version; see `model_files.load_model` for what is refused.

        The files are verified against the digest each time. MLflow is not asked for files that this machine has: those
        of a server are kept, those of a database lie in their run's folder. This process keeps and shares the last few
        models: do not change them.
        """
        key = (version.digest, serialization, tuple(trusted))
        with self._model(version) as (folder, described):
            if key in _LOADED:
                verify_digest(folder, version.digest, described)
            else:
                _LOADED[key] = load_model(folder, version.digest, serialization, trusted, described)
                _SIZES[version.digest] = size_of(folder)
        _LOADED.move_to_end(key)
        while len(_LOADED) > _KEPT_MODELS:
            _LOADED.popitem(last=False)
        return _LOADED[key]

    def size(self, version: ModelVersion) -> int:
        """Return the size of a version's stored files in bytes."""
        if version.digest not in _SIZES:
            self.verify(version)
        return _SIZES[version.digest]

    def verify(self, version: ModelVersion) -> None:
        """Raise `ArtifactError` unless the stored files of a version have its digest; the model is not loaded.

        This looks at what MLflow has, never at a copy.
        """
        with self._own_model(version) as (folder, described):
            verify_digest(folder, version.digest, described)
            _SIZES[version.digest] = size_of(folder)

    def local_model(self, version: ModelVersion) -> Path | None:
        """Return the folder of a version's model if its artifacts are local files; it may not exist."""
        return calls.local_folder(version.source)

    def version_url(self, model: str, number: int) -> str:
        """Return the address of the version's page in MLflow."""
        return self._page(f"models/{quote(model, safe='')}/versions/{number}")

    def _search(self, model: str, *clauses: str) -> Iterator[ModelVersion]:
        query = " and ".join((f"name = '{calls.checked_model(model)}'", *clauses))
        token: str | None = None
        while token != "":
            with self._asking(f"list the versions of {model}") as client:
                page = client.search_model_versions(
                    query, max_results=200, order_by=["version_number DESC"], page_token=token
                )
            yield from (as_version(entry) for entry in page)
            token = page.token or ""

    def _create_version(self, model: str, source: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        with self._asking(f"register {model}") as client:
            if or_none(client.get_registered_model, calls.checked_model(model)) is None:
                or_none(client.create_registered_model, model)

        def create() -> ModelVersion:
            with self._asking(f"register a version of {model}") as client, calls.no_http_retries():
                return as_version(
                    client.create_model_version(model, source, run_id=run_id, tags=dict(tags), await_creation_for=0)
                )

        return calls.made_once(create, lambda: self.version_of_run(model, run_id), self.retries)

    @contextmanager
    def _model(self, version: ModelVersion) -> Iterator[tuple[Path, str]]:
        """Yield the folder of a version's model and its name in messages, without MLflow if this machine has it."""
        if (place := self._place_of_own_run(version)) is not None:
            yield place, _described(version)
            return
        copies = None if calls.local_folder(version.source) else ModelCopies(self.model_cache)
        copy = None if copies is None else copies.get(version.digest)
        if copy is not None:
            yield copy, _described(version)
            return
        with self._own_model(version) as (folder, described):
            yield folder, described
            if copies is not None:
                copies.keep(folder, version.digest)  # verified by now

    def _place_of_own_run(self, version: ModelVersion) -> Path | None:
        """Return where the version's own run has put its model, without asking MLflow, which takes a second to import.

        None for a version without a digest, one whose files are said to be elsewhere, and where no such folder is:
        MLflow is asked, and says why.
        """
        if self.artifact_folder is None or not version.digest or not re.fullmatch("[0-9a-f]{32}", version.run_id):
            return None
        place = model_of_run(self.artifact_folder, version.model, version.run_id)
        source = calls.local_folder(version.source) if version.source else place
        return place if source == place and place.is_dir() else None

    @contextmanager
    def _own_model(self, version: ModelVersion) -> Iterator[tuple[Path, str]]:
        """Yield the folder of the model that a version's own run stored, and its name in messages."""
        described = _described(version)
        if not version.digest:
            raise ArtifactError(f"{described} has no digest tag, so nothing vouches for it: train and register anew")
        with self._asking(f"give the run of {described}") as client:
            run = or_none(client.get_run, version.run_id)
        if run is None:
            raise MissingArtifactError(f"{described} is missing: its run {version.run_id} was deleted")
        artifact_uri = run.info.artifact_uri
        if version.source and version.source.rstrip("/") != f"{artifact_uri}/{MODEL_FOLDER}":
            place = calls.without_credentials(version.source)[:80]
            raise ArtifactError(f"{described} lies outside its run, at {place!r}: expected the model of its own run")
        with self._stored_model(version.run_id, artifact_uri, described) as folder:
            yield folder, described

    @contextmanager
    def _stored_model(self, run_id: str, artifact_uri: str, described: str = "model artifact") -> Iterator[Path]:
        """Yield the model folder of a run: in place if its artifacts are local files, else a temporary copy."""
        with tempfile.TemporaryDirectory() as temporary:
            try:
                with self._asking(f"give the {described} of run {run_id}") as client:
                    stored = self._fetched(client, run_id, artifact_uri, MODEL_FOLDER, Path(temporary))
            except MisplacedArtifactError as error:
                raise MisplacedArtifactError(f"{described} is missing: {error}") from error
            except ArtifactError as error:
                raise MissingArtifactError(f"{described} is missing: {error}") from error
            if not any(stored.iterdir()):
                raise MissingArtifactError(f"{described} is missing: {stored} is empty")
            yield stored


def _champion(client: mlflow.MlflowClient, model: str, at_once: bool) -> Any:
    """Return the version that the alias names, None without one; `at_once` asks for it by one request."""
    if at_once:
        try:
            return or_none(client.get_model_version_by_alias, model, CHAMPION)
        except mlflow.exceptions.MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":  # an alias that is missing, and much else: look closer
                raise
    registered = or_none(client.get_registered_model, model)
    number = None if registered is None else registered.aliases.get(CHAMPION)
    return None if number is None else or_none(client.get_model_version, model, str(number))


def _described(version: ModelVersion) -> str:
    return f"artifact of {version.model} version {version.version}"
