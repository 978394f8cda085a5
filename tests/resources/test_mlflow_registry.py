import json
import socket
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_assets.errors import ArtifactError, RegistryError
from mlops_assets.resources.mlflow.calls import without_credentials
from mlops_assets.resources.mlflow.model_files import digest_of, save_model
from mlops_assets.resources.mlflow.registry import MlflowRegistry

ROWS = pd.DataFrame({"x": np.arange(20.0), "y": np.arange(20.0) % 3})


@dataclass
class Trial:
    number: int
    params: dict[str, object]
    score: float
    std: float = 0.1
    seconds: float = 0.5
    error: str | None = None


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> MlflowRegistry:
    """A real MLflow on SQLite; each test uses a model name of its own."""
    root = tmp_path_factory.mktemp("mlflow")
    return MlflowRegistry(tracking_uri=f"sqlite:///{root}/mlflow.db", artifact_root=str(root / "artifacts"))


@pytest.fixture(scope="module")
def client(registry):
    """MLflow's own client, to look at what was stored."""
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=registry.tracking_uri, registry_uri=registry.tracking_uri)


@pytest.fixture
def saved(tmp_path) -> Path:
    from sklearn.linear_model import Ridge

    save_model(Ridge().fit(ROWS, ROWS["x"] * 2), tmp_path / "model", ROWS)
    return tmp_path / "model"


def registered(registry, model, folder, **tags):
    return registry.register(model, folder, registry.start_run(model, "train", {}), tags)


def test_run_holds_what_was_logged(registry, client):
    run_id = registry.start_run("logged", "train", {"data_version": "abc", "seed": 7})
    params = {f"p{number}": number for number in range(120)} | {"long": "x" * 7_000}
    metrics = {"rmse": 1.5, "nan": float("nan"), "inf": float("inf"), "none": None, "rmse[site=b,c]": 2.0}
    registry.log(run_id, params, metrics, {"note": "y" * 9_000})
    registry.end_run(run_id)
    run = client.get_run(run_id)
    assert run.data.metrics == {"rmse": 1.5, "rmse_site_b_c_": 2.0}
    assert len(run.data.params) == 121 and run.data.params["p119"] == "119"
    assert len(run.data.params["long"]) == 6_000 and len(run.data.tags["note"]) == 8_000
    assert run.data.tags["data_version"] == "abc" and run.data.tags["seed"] == "7"
    assert run.info.status == "FINISHED" and run.info.run_name == "train"
    assert client.get_experiment(run.info.experiment_id).name == "logged"


def test_trials_are_nested_runs(registry, client):
    run_id = registry.start_run("searched", "train", {})
    trials = [Trial(0, {"depth": 3}, 0.5), Trial(1, {"depth": 4}, float("nan"), error="ValueError: no")]
    registry.log_trials(run_id, trials)
    experiment_id = client.get_run(run_id).info.experiment_id
    nested = client.search_runs([experiment_id], f"tags.mlflow.parentRunId = '{run_id}'")
    found = {run.info.run_name: (run.info.status, run.data.params, run.data.metrics) for run in nested}
    assert found == {
        "trial 0": ("FINISHED", {"depth": "3"}, {"score": 0.5, "std": 0.1, "seconds": 0.5}),
        "trial 1": ("FAILED", {"depth": "4"}, {"std": 0.1, "seconds": 0.5}),
    }


def test_artifacts_come_back(registry):
    run_id = registry.start_run("artifacts", "train", {})
    registry.log_text(run_id, "notes/ä.md", "schön")
    registry.log_json(run_id, "evidence.json", {"n": 3})
    registry.log_bytes(run_id, "plots/plot.png", b"png")
    assert registry.artifact(run_id, "notes/ä.md").read_text(encoding="utf-8") == "schön"
    assert json.loads(registry.artifact(run_id, "evidence.json").read_text()) == {"n": 3}
    assert registry.artifact(run_id, "plots/plot.png").read_bytes() == b"png"
    with pytest.raises(ArtifactError, match=r"has no artifact 'gone\.json'; was it deleted"):
        registry.artifact(run_id, "gone.json")
    for name in ("../x", "/etc/hostname", "a/../../x", ""):
        with pytest.raises(RegistryError, match="cannot name an artifact"):
            registry.artifact(run_id, name)
        with pytest.raises(RegistryError, match="cannot name an artifact"):
            registry.log_bytes(run_id, name, b"")


def test_version_is_registered_found_crowned_and_loaded(registry, saved):
    assert registry.champion("forecast") is None and registry.versions("forecast") == []
    first = registered(registry, "forecast", saved, data_version="d1", note="it's 5% `odd`")
    second = registered(registry, "forecast", saved, data_version="d2")
    third = registered(registry, "forecast", saved, data_version="d2")
    assert [version.version for version in registry.versions("forecast")] == [3, 2, 1]
    assert first.digest == digest_of(saved) == first.tags["digest"]
    assert registry.version("forecast", 2) == second
    assert registry.champion("forecast") is None  # the model exists, the alias does not
    registry.set_champion("forecast", 1)
    registry.set_champion("forecast", 2)
    champion = registry.champion("forecast")
    assert champion is not None and champion.version == 2
    registry.tag("forecast", 2, {"verdict": "promote", "gain": 0.25})
    assert registry.version("forecast", 2).tags["gain"] == "0.25"
    model = registry.load(champion)
    assert model.predict(ROWS)[:2] == pytest.approx([0, 2], abs=0.2)
    assert registry.load(third) is model  # the same bytes are read once


@pytest.mark.promise(2)
def test_run_has_one_version_however_often_it_is_registered(registry, saved, tmp_path):
    run_id = registry.start_run("once", "train", {})
    first = registry.register("once", saved, run_id, {"a": 1})
    assert registry.register("once", saved, run_id, {"a": 2}) == first
    assert len(registry.versions("once")) == 1
    (saved / "extra.txt").write_text("changed")
    with pytest.raises(ArtifactError, match="is once version 1 already, with other files"):
        registry.register("once", saved, run_id, {})


@pytest.mark.promise(2)
@pytest.mark.fault(32)
def test_answer_lost_after_the_commit_makes_no_second_version(registry, saved, monkeypatch):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    create = MlflowClient.create_model_version
    calls = []

    def loses_answer(self, *args, **kwargs):
        calls.append(create(self, *args, **kwargs))
        raise MlflowException("connection reset")

    monkeypatch.setattr(MlflowClient, "create_model_version", loses_answer)
    made = registered(registry, "lost", saved, data_version="d1")
    assert len(calls) == 1 and made.version == 1 and made.tags["data_version"] == "d1"
    assert registry.versions("lost") == [made]


def test_alias_is_set_again_after_an_integrity_error(registry, saved, monkeypatch):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    registered(registry, "crowd", saved)
    set_alias = MlflowClient.set_registered_model_alias
    failures = ["(sqlite3.IntegrityError) UNIQUE constraint failed"] * 2

    def set_after_failures(self, *args):
        if failures:
            raise MlflowException(failures.pop())
        return set_alias(self, *args)

    monkeypatch.setattr(MlflowClient, "set_registered_model_alias", set_after_failures)
    registry.set_champion("crowd", 1)
    champion = registry.champion("crowd")
    assert champion is not None and champion.version == 1
    failures.extend(["(sqlite3.IntegrityError) UNIQUE constraint failed"] * 3)
    with pytest.raises(RegistryError, match=r"did not make version 1 the champion of crowd: .*IntegrityError"):
        registry.set_champion("crowd", 1)


@pytest.mark.promise(6)
@pytest.mark.fault(62, 63)
def test_changed_missing_and_foreign_artifacts_are_refused(registry, client, saved, tmp_path):
    version = registered(registry, "guarded", saved)
    registry.load(version)  # one that this process holds is verified no less
    stored = registry.artifact(version.run_id, "model")
    (stored / "model.skops").write_bytes(b"swapped")
    with pytest.raises(ArtifactError, match=r"artifact of guarded version 1 has changed since it was registered"):
        registry.load(version)
    stored.rename(stored.with_name("moved"))
    with pytest.raises(
        ArtifactError, match=r"artifact of guarded version 1 is missing: run .* has no artifact 'model'"
    ):
        registry.load(version)
    with pytest.raises(ArtifactError, match="guarded version 1 has no digest tag"):
        registry.load(replace(version, digest=""))
    for source in ("s3://attacker/model", "file:///etc", str(tmp_path)):
        with pytest.raises(ArtifactError, match="lies outside its run, at"):
            registry.load(replace(version, source=source))


def test_what_does_not_exist_is_named(registry, saved):
    registered(registry, "known", saved)
    with pytest.raises(RegistryError, match=r"did not give version 7 of known: .*not found$"):
        registry.version("known", 7)
    with pytest.raises(RegistryError, match="did not make version 7 the champion"):
        registry.set_champion("known", 7)
    with pytest.raises(RegistryError, match="cannot name a registered model"):
        registry.versions("x' or name like '%")
    with pytest.raises(RegistryError, match=r"tags \['card'\] are longer than 100000"):
        registry.tag("known", 1, {"card": "x" * 100_001})


def test_links_lead_to_the_ui(registry, client):
    run_id = registry.start_run("linked", "train", {})
    experiment_id = client.get_run(run_id).info.experiment_id
    run_url = f"http://127.0.0.1:5000/#/experiments/{experiment_id}/runs/{run_id}"
    view = "?workflowType=machine_learning"
    assert registry.run_url(run_id) == f"{run_url}{view}"
    assert registry.artifact_url(run_id, "drift/page 1.html") == f"{run_url}/artifacts/drift/page%201.html{view}"
    assert registry.version_url("linked", 3) == f"http://127.0.0.1:5000/#/models/linked/versions/3{view}"


@pytest.mark.promise(7)
@pytest.mark.fault(29, 64)
def test_closed_port_is_told_without_credentials():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    down = MlflowRegistry(tracking_uri=f"http://user:canary@127.0.0.1:{port}", timeout_seconds=1, retries=0)
    with pytest.raises(
        RegistryError, match=rf"^MLflow at http://127\.0\.0\.1:{port} did not name the champion"
    ) as caught:
        down.champion("any")
    assert str(caught.value).endswith("Is the server up?")
    assert "canary" not in str(caught.value) and caught.value.__suppress_context__


@pytest.mark.promise(8)
@pytest.mark.fault(30)
def test_server_that_never_answers_is_given_up():
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen()
        silent = MlflowRegistry(tracking_uri=f"http://127.0.0.1:{hole.getsockname()[1]}", timeout_seconds=1, retries=0)
        with pytest.raises(RegistryError, match=r"did not list the versions of any: .*Is the server up"):
            silent.versions("any")


@pytest.mark.promise(7)
@pytest.mark.fault(64)
def test_mlflow_prints_no_address(registry):
    from mlflow.environment_variables import MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT

    registry.end_run(registry.start_run("quiet", "train", {}))
    assert MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.get()  # against a server it would print user and password


@pytest.mark.promise(7)
@pytest.mark.fault(64)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://me:p@ss@db:5432/mlflow?password=x", "postgresql://db:5432/mlflow"),
        ("GET https://me:pw@host/api?token=x failed", "GET https://host/api failed"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
    ],
)
def test_credentials_are_cut_out(text, expected):
    assert without_credentials(text) == expected


def test_nothing_is_written_where_the_process_runs(registry, saved, tmp_path, monkeypatch):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    registry.load(registered(registry, "tidy", saved))
    assert list((tmp_path / "cwd").iterdir()) == []


@pytest.mark.slow
def test_processes_that_open_a_new_database_at_once_all_find_it_whole(tmp_path):
    code = (
        "import sys; from mlops_assets.resources.mlflow.registry import MlflowRegistry; "
        "print(MlflowRegistry(tracking_uri=sys.argv[1]).champion('bikes'))"
    )
    command = [sys.executable, "-c", code, f"sqlite:///{tmp_path / 'new.db'}"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=120)[0].strip() for process in processes] == ["None"] * 3


@pytest.mark.promise(6)
def test_model_in_its_runs_folder_is_loaded_without_mlflow(registry, saved):
    version = registered(registry, "near", saved)
    script = (
        "import sys; from mlops_assets.resources.mlflow.model_version import ModelVersion\n"
        "from mlops_assets.resources.mlflow.registry import MlflowRegistry\n"
        f"registry = MlflowRegistry(tracking_uri={registry.tracking_uri!r}, artifact_root={registry.artifact_root!r})\n"
        f"given = dict(model='near', version=1, digest={version.digest!r}, run_id={version.run_id!r})\n"
        f"for source in ('', {version.source!r}):\n"
        "    print(registry.load(ModelVersion(**given, source=source)).coef_[0])\n"
        "assert 'mlflow' not in sys.modules"
    )
    printed = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout.split()
    fitted = registry.load(version).coef_[0]
    assert [float(text) for text in printed] == [fitted, fitted]


def test_model_in_the_folder_of_another_run_is_refused(registry, saved):
    version = registered(registry, "own", saved)
    other = registry.start_run("own", "train", {})
    theirs = version.source.replace(version.run_id, other)
    registry.artifact(version.run_id, "model").parent.parent.with_name(other).mkdir(exist_ok=True)
    with pytest.raises(ArtifactError, match="lies outside its run, at"):
        registry.load(replace(version, source=theirs))
