"""MLflow servers as deployments have them: a login, an own certificate, artifacts in S3 or kept by the server.

Another host is a process with a home, a working directory and a cache of its own, all of them empty.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from deploy.services.certificates import certified
from mlops_assets.cli.doctor.mlflow import experiments
from mlops_assets.errors import ArtifactError, MissingArtifactError, MlopsAssetsError, RegistryError
from mlops_assets.resources.mlflow import artifact_places
from mlops_assets.resources.mlflow.model_files import digest_of, save_model
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.sensors.registry_probe import impatient
from mlops_assets.sensors.remote_artifact import finding_soon
from support.servers.mlflow import PASSWORD, MlflowServer, mlflow_server
from support.servers.stores import s3_files

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
ROWS = pd.DataFrame({"x": np.arange(20.0), "y": np.arange(20.0) % 3})

ON_ANOTHER_HOST = """
import json, sys
import pandas as pd
from mlops_assets.resources.mlflow.registry import MlflowRegistry

registry = MlflowRegistry(tracking_uri=sys.argv[1], retries=0)
champion = registry.champion("forecast")
fitted = registry.load(champion)
registry.verify(champion)
registry.log_text(champion.run_id, "card.md", "from another host")
print(json.dumps({
    "digest": champion.digest,
    "predicted": float(fitted.predict(pd.DataFrame({"x": [3.0], "y": [0.0]}))[0]),
    "note": registry.artifact(champion.run_id, "notes/n.txt").read_text(),
}))
"""


@dataclass
class Host:
    """A machine of its own, as far as MLflow's client can tell."""

    home: Path
    server: MlflowServer
    variables: Mapping[str, str]

    def run(self, code: str) -> "subprocess.CompletedProcess[str]":
        """Run code with the address of the server as its argument."""
        self.home.mkdir(exist_ok=True)
        own = {"HOME": str(self.home), "PYTHONPATH": str(REPOSITORY), "PATH": os.environ["PATH"]}
        command = [sys.executable, "-c", code, self.server.url]
        return subprocess.run(command, cwd=self.home, env={**own, **self.variables}, capture_output=True, text=True)


Serve = Callable[[str], tuple[MlflowRegistry, Host]]


@pytest.fixture(scope="module")
def started(tmp_path_factory, s3) -> Iterator[Callable[[str], MlflowServer]]:
    """Starts each kind of server once, when a test asks for it."""
    s3_files(s3.environment).create_dir("models")
    kinds = {
        "login, proxied S3": {"auth": True, "artifacts": "s3://models/proxied"},
        "direct S3": {"proxied": False, "artifacts": "s3://models/direct"},
        "certificate and login, kept": {"auth": True, "tls": True},
    }
    servers: dict[str, MlflowServer] = {}
    with ExitStack() as stack:

        def start(kind: str) -> MlflowServer:
            if kind not in servers:
                folder = tmp_path_factory.mktemp("server")
                servers[kind] = stack.enter_context(mlflow_server(folder, environment=s3.environment, **kinds[kind]))
            return servers[kind]

        yield start


@pytest.fixture
def serve(started, s3, tmp_path, monkeypatch) -> Serve:
    """Gives a registry on this host, whose cache is empty, and another host."""

    def begin(kind: str) -> tuple[MlflowRegistry, Host]:
        server = started(kind)
        # A server that keeps the artifacts alone holds the keys of S3; without it each client needs them.
        variables = {**server.client, **(s3.environment if kind == "direct S3" else {})}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        registry = MlflowRegistry(tracking_uri=server.url, retries=0, model_cache=str(tmp_path / "models"))
        return registry, Host(tmp_path / "other", server, variables)

    return begin


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    from sklearn.linear_model import Ridge

    folder = tmp_path_factory.mktemp("saved") / "model"
    save_model(Ridge(alpha=1e-9).fit(ROWS, ROWS["x"] * 2), folder, ROWS)
    return folder


def registered(registry: MlflowRegistry, model: str, saved: Path) -> ModelVersion:
    return registry.register(model, saved, registry.start_run(model, "train", {}), {"data_version": "d"})


@pytest.mark.parametrize("kind", ["login, proxied S3", "direct S3", "certificate and login, kept"])
def test_what_one_host_registers_another_loads_by_its_digest(kind, serve, saved, tmp_path):
    registry, other_host = serve(kind)
    run_id = registry.start_run("forecast", "train", {})
    registry.log(run_id, {"alpha": 1}, {"rmse": 0.5})
    registry.log_text(run_id, "notes/n.txt", "schön")
    version = registry.register("forecast", saved, run_id, {"data_version": "d"})
    registry.set_champion("forecast", version.version)
    registry.end_run(run_id)
    assert registry.local_model(version) is None and registry.local_experiments() == {}
    other = other_host.run(ON_ANOTHER_HOST)
    assert other.returncode == 0, other.stderr
    said = json.loads(other.stdout)
    assert said == {"digest": digest_of(saved), "predicted": pytest.approx(6), "note": "schön"}
    assert registry.artifact(run_id, "card.md").read_text() == "from another host"
    with pytest.raises(ArtifactError, match=r"has no artifact 'gone\.json'; was it deleted"):
        registry.artifact(run_id, "gone.json")
    empty = replace(version, run_id=registry.start_run("forecast", "train", {}), source="", digest="0" * 64)
    with pytest.raises(MissingArtifactError, match="was it deleted"):
        registry.load(empty)
    assert not list(tmp_path.glob("other/mlruns")) and PASSWORD not in other.stderr
    assert [path.name for path in (tmp_path / "other/.cache/mlops_assets/models").iterdir()] == [version.digest]


def test_a_model_is_fetched_once_and_the_alias_is_asked_for_each_time(serve, saved, tmp_path):
    registry, host = serve("certificate and login, kept")
    version = registered(registry, "counted", saved)
    registry.set_champion("counted", version.version)
    other = registry.model_copy(update={"model_cache": str(tmp_path / "other host")})
    asked = [requests_of(host.server, partial(other.load, version)) for _ in range(2)]
    assert 0 < asked[0] <= len(list(saved.iterdir())) + 3 and asked[1] == 0
    assert [requests_of(host.server, partial(other.champion, "counted")) for _ in range(2)] == [1, 1]


@pytest.mark.fault(62)
def test_files_changed_on_the_server_are_refused_and_a_copy_of_the_right_ones_is_used(serve, saved, tmp_path):
    registry, host = serve("certificate and login, kept")
    version = registered(registry, "changed", saved)
    (file,) = host.server.data.glob(f"artifacts/*/{version.run_id}/artifacts/model/model.skops")
    file.write_bytes(file.read_bytes() + b"!")
    assert registry.load(version).predict(ROWS)[3] == pytest.approx(6)
    with pytest.raises(ArtifactError, match="has changed since it was registered"):
        registry.verify(version)
    with pytest.raises(ArtifactError, match="has changed since it was registered"):
        registry.model_copy(update={"model_cache": str(tmp_path / "other host")}).load(version)
    assert not list(tmp_path.glob("other host/*"))


def test_artifacts_go_round_a_server_where_it_is_declared(serve, saved):
    registry, host = serve("direct S3")
    own = registry.model_copy(update={"artifact_root": "s3://models/own"})
    version = registered(own, "round", saved)
    assert version.source.startswith("s3://models/own/round/") and own.local_model(version) is None
    assert (
        requests_of(host.server, partial(own.load, version)) == 0
    )  # fetched once, to be verified as it was registered
    own.verify(version)


@pytest.mark.fault(30)
def test_an_object_store_that_does_not_answer_holds_up_no_sensor(serve, saved, s3):
    registry, _ = serve("direct S3")
    version = registered(registry, "silent", saved)
    s3.pause()
    try:
        assert finding_soon(impatient(registry), version) is None
    finally:
        s3.resume()
    finding = None
    deadline = time.monotonic() + 120
    while finding is None and time.monotonic() < deadline:
        time.sleep(0.2)
        finding = finding_soon(impatient(registry), version)
    assert finding == ("sound", "its artifact is unchanged")


@pytest.mark.fault(64)
def test_a_wrong_password_or_certificate_is_named_and_no_secret_is_told(serve, monkeypatch, tmp_path):
    registry, _ = serve("certificate and login, kept")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "canary")
    with pytest.raises(RegistryError, match="Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD") as refused:
        registry.champion("forecast")
    assert "canary" not in str(refused.value)
    other_authority, _, _ = certified(tmp_path / "certificates", "127.0.0.1")
    for authority in (str(other_authority), ""):  # another one than the server's, and those of the system
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", authority)
        if not authority:
            monkeypatch.delenv("MLFLOW_TRACKING_SERVER_CERT_PATH")
        with pytest.raises(RegistryError, match="Set MLFLOW_TRACKING_SERVER_CERT_PATH to the file of the authority"):
            registry.champion("forecast")


def test_an_experiment_in_a_folder_of_another_machine_is_named_with_the_way_out(serve, saved, tmp_path, monkeypatch):
    registry, _ = serve("login, proxied S3")
    old = registry.model_copy(update={"artifact_root": str(tmp_path / "old")})  # as earlier releases did by themselves
    version = registered(old, "moved", saved)
    assert old.local_experiments() == {}  # as declared
    assert registry.local_experiments() == {"moved": tmp_path / "old" / "moved"}
    (found,) = experiments(registry, ["moved", "other"])
    assert found.severity == "advice" and str(tmp_path) in found.found and "experiments rename" in found.mend
    registry.start_run("moved", "train", {})  # on the machine that has the folder
    monkeypatch.setattr(artifact_places, "is_loopback", lambda host: False)
    monkeypatch.setattr("mlops_assets.cli.doctor.mlflow.is_loopback", lambda host: False)
    assert next(experiments(registry, ["moved"])).severity == "fault"
    (tmp_path / "old").rename(tmp_path / "on another machine")
    with pytest.raises(MlopsAssetsError, match=r"a folder that this machine does not have\. Rename the experiment"):
        registry.start_run("moved", "train", {})
    with pytest.raises(MlopsAssetsError, match="a folder that this machine does not have"):
        registry.log_text(version.run_id, "card.md", "would be written where nobody looks")
    with pytest.raises(ArtifactError, match="a folder that this machine does not have"):
        registry.verify(version)
    with registry._asking("rename") as client:
        client.rename_experiment(client.get_experiment_by_name("moved").experiment_id, "moved_before")
    assert registry.load(registered(registry, "moved", saved)).predict(ROWS)[3] == pytest.approx(6)
    assert next(experiments(registry, ["moved"])).severity == "fine" and not (tmp_path / "old").exists()


def requests_of(server: MlflowServer, ask: Callable[[], object]) -> int:
    """How many requests the server answers meanwhile."""
    before = server.log.read_text().count(" HTTP/1.1")
    ask()
    return server.log.read_text().count(" HTTP/1.1") - before
