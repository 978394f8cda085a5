"""MLflow's runs: what a training logs, and the addresses of its pages; by explicit run ids only."""

from __future__ import annotations

import json
import posixpath
import re
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pydantic import PrivateAttr

from mlops_assets.errors import ArtifactError, MisplacedArtifactError
from mlops_assets.resources.lazy import mlflow
from mlops_assets.resources.mlflow.artifact_places import (
    artifact_location,
    can_write,
    elsewhere,
    local_on_server,
    misplaced,
    on_another_machine,
)
from mlops_assets.resources.mlflow.calls import (
    TAG_LENGTH,
    checked_artifact,
    is_server,
    local_folder,
    log_batches,
    log_key,
    made_once,
    no_http_retries,
    or_none,
)
from mlops_assets.resources.mlflow.connection import VIEW, MlflowConnection

if TYPE_CHECKING:
    from mlops_assets.modelling.fitting.trials import Trial


_CREATION = "mlops_assets.creation"
"""The tag by which a run is found again whose making was not answered."""
_PLACES: dict[tuple[str, str], tuple[str, str]] = {}
"""(address of a server, run) to the run's experiment and the URI of its artifacts."""


class MlflowRuns(MlflowConnection):
    """Runs and their artifacts."""

    _downloads: tempfile.TemporaryDirectory[str] | None = PrivateAttr(default=None)

    def start_run(self, model: str, name: str, tags: Mapping[str, Any]) -> str:
        """Start a run in the experiment named like the model (created on demand) and return its id."""
        with self._asking(f"start a run of {model}") as client:
            return self._create_run(client, self._experiment_id(client, model), name, tags)

    def log(
        self,
        run_id: str,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float | None] | None = None,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        """Log in several requests; shorten values too long for MLflow, and leave out metrics that are not finite."""
        with self._asking(f"log to run {run_id}") as client:
            log_batches(client, run_id, params or {}, metrics or {}, tags or {})

    def log_trials(self, run_id: str, trials: Sequence[Trial]) -> None:
        """Log each trial of a search as a nested run: its params, score, std (over folds) and seconds."""
        with self._asking(f"log the trials of run {run_id}") as client:
            experiment_id = self._places(client, run_id)[0]
            for trial in trials:
                tags = {"mlflow.parentRunId": run_id, **({"error": trial.error} if trial.error else {})}
                child = self._create_run(client, experiment_id, f"trial {trial.number}", tags)
                metrics = {"score": trial.score, "std": trial.std, "seconds": trial.seconds}
                log_batches(client, child, trial.params, metrics, {})
                client.set_terminated(child, "FAILED" if trial.error else "FINISHED")

    def log_bytes(self, run_id: str, name: str, data: bytes) -> None:
        """Attach `data` to a run as the artifact `name`, as in "plots/calibration.png"."""
        folder, file_name = posixpath.split(checked_artifact(name))
        with tempfile.TemporaryDirectory() as temporary, self._asking(f"store {name!r} in run {run_id}") as client:
            path = Path(temporary, file_name)
            path.write_bytes(data)
            self._may_write(client, run_id)
            client.log_artifact(run_id, str(path), folder or None)

    def log_text(self, run_id: str, name: str, text: str) -> None:
        """Attach a text (UTF-8) to a run as the artifact `name`."""
        self.log_bytes(run_id, name, text.encode())

    def log_json(self, run_id: str, name: str, obj: Any) -> None:
        """Attach a plain JSON value to a run as the artifact `name`."""
        self.log_bytes(run_id, name, json.dumps(obj, indent=2).encode())

    def metrics(self, run_id: str) -> dict[str, float]:
        """Return the last value of each metric of a run."""
        with self._asking(f"give the metrics of run {run_id}") as client:
            return dict(client.get_run(run_id).data.metrics)

    def params(self, run_id: str) -> dict[str, str]:
        """Return the parameters of a run as MLflow's texts."""
        with self._asking(f"give the parameters of run {run_id}") as client:
            return dict(client.get_run(run_id).data.params)

    def end_run(self, run_id: str, status: str = "FINISHED") -> None:
        """End a run; `status` is FINISHED, FAILED or KILLED."""
        with self._asking(f"end run {run_id}") as client:
            client.set_terminated(run_id, status)

    def artifact(self, run_id: str, name: str) -> Path:
        """Return the local path of a run's artifact; do not write to it, and use it only while this resource lives."""
        checked_artifact(name)
        if self._downloads is None:
            self._downloads = tempfile.TemporaryDirectory()
        with self._asking(f"give {name!r} of run {run_id}") as client:
            artifact_uri = self._places(client, run_id)[1]
            return self._fetched(client, run_id, artifact_uri, name, Path(self._downloads.name, run_id))

    def local_experiments(self) -> dict[str, Path]:
        """Return the experiments of a server whose artifacts lie in a folder of one machine, each with its folder."""
        if not is_server(self.address):
            return {}
        with self._asking("list its experiments") as client:
            found: dict[str, Path | None] = {}
            token = None
            while token != "":
                page = client.search_experiments(max_results=1_000, page_token=token)
                found |= {each.name: local_on_server(self.artifact_root, each.artifact_location) for each in page}
                token = page.token or ""
        return {name: folder for name, folder in found.items() if folder is not None}

    def run_url(self, run_id: str) -> str:
        """Return the address of the run's page in MLflow."""
        with self._asking(f"give run {run_id}") as client:
            experiment_id = self._places(client, run_id)[0]
        return self._page(f"experiments/{experiment_id}/runs/{run_id}")

    def artifact_url(self, run_id: str, name: str) -> str:
        """Return the address of an artifact's page in MLflow."""
        return self.run_url(run_id).replace(VIEW, f"/artifacts/{quote(name)}{VIEW}")

    def _experiment_id(self, client: mlflow.MlflowClient, model: str) -> str:
        experiment = client.get_experiment_by_name(model)
        if experiment is None:
            location = None if self.artifact_root is None else artifact_location(self.artifact_root, model)
            try:
                return str(client.create_experiment(model, artifact_location=location))
            except mlflow.exceptions.MlflowException:
                experiment = client.get_experiment_by_name(model)  # another process may have made it meanwhile
                if experiment is None:
                    raise
        self._must_be_declared(experiment.artifact_location, f"experiment {model}")
        return str(experiment.experiment_id)

    def _places(self, client: mlflow.MlflowClient, run_id: str) -> tuple[str, str]:
        """Return a run's experiment and the URI of its artifacts; a server, which never changes them, is asked once."""
        known = _PLACES.get((self.address, run_id))
        if known is None:
            info = client.get_run(run_id).info
            known = str(info.experiment_id), str(info.artifact_uri)
            if is_server(self.address):
                _PLACES[self.address, run_id] = known
        return known

    def _may_write(self, client: mlflow.MlflowClient, run_id: str) -> None:
        """Raise `MisplacedArtifactError` if a run's artifacts lie where this machine must not write.

        That is the folder of another home, of which this one is a copy, or a folder of another machine.
        """
        if self.artifact_folder is not None or is_server(self.address):
            self._must_be_declared(self._places(client, run_id)[1], f"run {run_id}")

    def _must_be_declared(self, uri: str, described: str) -> None:
        remedy, server = self._misplaced(uri), is_server(self.address)
        folder = local_on_server(self.artifact_root, uri) if server else None
        if folder is not None and not can_write(folder, self.address):
            remedy = on_another_machine(folder)
        if remedy:
            raise MisplacedArtifactError(f"nothing is written for {described}: {remedy}")

    def _misplaced(self, uri: str) -> str:
        """Return a message with the remedy if `uri` lies outside the declared folder, else ""."""
        declared = self.artifact_folder
        folder = elsewhere(declared, uri)
        return misplaced(folder, declared) if declared and folder else ""

    def _fetched(self, client: mlflow.MlflowClient, run_id: str, artifact_uri: str, name: str, copies: Path) -> Path:
        """Return the path of an artifact: in place if it is a local file, else of a copy in the folder `copies`."""
        local = local_folder(artifact_uri)
        path = local / name if local else self._downloaded(client, run_id, artifact_uri, name, copies)
        if path is not None and Path(path).exists():
            return Path(path)
        missing = f"run {run_id} has no artifact {name!r}; was it deleted?"
        if local is not None and is_server(self.address) and not local.exists():
            raise ArtifactError(f"run {run_id} has no artifact {name!r} here: {on_another_machine(local)}")
        if remedy := self._misplaced(artifact_uri):
            raise MisplacedArtifactError(f"{missing} {remedy}")
        raise ArtifactError(missing)

    def _downloaded(
        self, client: mlflow.MlflowClient, run_id: str, artifact_uri: str, name: str, copies: Path
    ) -> str | None:
        """Return the path of a copy of an artifact, None if MLflow has none."""
        copies.mkdir(parents=True, exist_ok=True)
        if not re.fullmatch(r"[\w.-]+", name, re.ASCII):  # a name that an address would have to quote
            path = or_none(client.download_artifacts, run_id, name, str(copies))
            return None if path is None else str(path)
        # The client asks three times more: for the run, and whether the artifact is one of MLflow's logged models.
        ask = {"tracking_uri": self.address}
        try:
            return str(mlflow.artifacts.download_artifacts(f"{artifact_uri}/{name}", dst_path=str(copies), **ask))
        except mlflow.exceptions.MlflowException:  # each store says in its own way that there is no such artifact
            if any(
                posixpath.basename(each.path) == name for each in mlflow.artifacts.list_artifacts(artifact_uri, **ask)
            ):
                raise
            return None

    def _create_run(self, client: mlflow.MlflowClient, experiment_id: str, name: str, tags: Mapping[str, Any]) -> str:
        values = {log_key(key): str(value)[:TAG_LENGTH] for key, value in tags.items()}
        values[_CREATION] = uuid.uuid4().hex

        def create() -> str:
            with no_http_retries():
                return str(client.create_run(experiment_id, tags=values, run_name=name).info.run_id)

        def there() -> str | None:
            runs = client.search_runs([experiment_id], f"tags.`{_CREATION}` = '{values[_CREATION]}'", max_results=1)
            return str(runs[0].info.run_id) if runs else None

        return made_once(create, there, self.retries)
