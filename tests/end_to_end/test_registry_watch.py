"""The registry against the record of the champion: what the sensor and the step say, and what scores meanwhile."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from mlflow import MlflowClient

from mlops_assets.errors import ArtifactError
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.sensors import remote_artifact
from mlops_assets.sensors.registry_watch import Artifacts, registry_watch_sensor
from support.deployment import DeployedModel, checks, plain, why
from support.ledger_rows import champion_version, latest, put_value, spoil, value_of
from support.rewind import RewoundDeployment
from support.synthetic import rows

ADA = {"by": "ada", "reason": "repair"}


class Watch:
    """Ticks of the sensor over models, with what the daemon would record recorded."""

    def __init__(self, *models: DeployedModel, registry: MlflowRegistry | None = None) -> None:
        self.instance, self.storage = models[0].instance, models[0].storage
        self.registry = registry or models[0].registry
        self.repository = dg.Definitions.merge(
            *(model.pipeline.build_defs() for model in models),
            dg.Definitions(resources=models[0].defs.resources),
        ).get_repository_def()
        self.sensor, self.cursor = registry_watch_sensor(), None

    def tick(self) -> list[dg.AssetCheckEvaluation]:
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"mlops_storage": self.storage, "mlflow_registry": self.registry},
        )
        result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        return list(result.asset_events)

    def states(self) -> list[tuple[str, bool, str]]:
        """Model, passed and state of each evaluation of a tick."""
        return [(each.asset_key.path[0], each.passed, plain(each.metadata)["state"]) for each in self.tick()]


@pytest.fixture
def model(promoted: DeployedModel) -> DeployedModel:
    return promoted


@pytest.fixture
def deployment(own_deployment: RewoundDeployment) -> RewoundDeployment:
    return own_deployment


@pytest.fixture
def client(deployment: RewoundDeployment) -> MlflowClient:
    return MlflowClient(tracking_uri=deployment.registry.tracking_uri)


def stored(model: DeployedModel, version: int) -> Path:
    return model.registry.artifact(model.registry.version(model.name, version).run_id, "model") / "model.skops"


def scored_by(model: DeployedModel, number: int) -> set[tuple[int, str]]:
    """Version and digest on the rows of one more batch."""
    assert model.take_in(model.land(f"b{number}", rows(number))).success
    said = model.predictions(f"b{number}")
    return set(zip(said["model_version"], said["model_digest"], strict=True))


def recorded(model: DeployedModel) -> set[tuple[int, str]]:
    record = PromotionLedger(model.storage, model.name).champion()
    return {(record.version, record.digest[:12])}


def test_a_promotion_is_on_record_with_who_and_why(model):
    record, tags = PromotionLedger(model.storage, model.name).champion(), model.registry.champion(model.name).tags
    assert (record.version, record.digest, record.by) == (2, tags["digest"], "mlops_assets")
    assert record.reason == tags["reason"] and record.reason.startswith("rmse improves by 2.")
    assert (record.number, record.how, record.against, tags["promotion"]) == (2, "evidence", 1, "2")
    assert tags["decided_at"] <= record.intended <= record.done and len(record.evidence) == 64
    assert record.tags["data_version"] == tags["data_version"]
    assert model.materialize("champion", action="rollback", **ADA).success
    record = PromotionLedger(model.storage, model.name).champion()
    assert (record.version, record.by, record.reason) == (1, "ada", "rollback: repair")
    assert (record.number, record.how, record.against) == (3, "rollback", 2)
    first = PromotionLedger(model.storage, model.name).all()[-1]
    assert (first.number, first.version, first.how, first.against) == (1, 1, "first", None)


@pytest.mark.promise(9)
@pytest.mark.fault(48)
def test_an_alias_moved_by_hand_is_told_once_and_does_not_change_what_scores(model, client):
    watch = Watch(model)
    assert watch.states() == [(model.name, True, "sound")]
    assert watch.states() == []
    client.set_registered_model_alias(model.name, "champion", "1")
    (event,) = watch.tick()
    shown = plain(event.metadata)
    assert (event.passed, event.severity, event.check_name) == (False, dg.AssetCheckSeverity.ERROR, "registry_intact")
    assert (shown["state"], shown["alias"], shown["recorded_champion"]) == ("moved by hand", "version 1", 2)
    assert "the alias names version 1" in event.description and "decided on is version 2" in event.description
    assert f"launch the job {model.name}_rollback with version 2" in shown["what_to_do"]
    assert watch.states() == []
    assert scored_by(model, 4) == recorded(model) and model.champion() == 1

    check = checks(model.challenge(alpha=0.2))["registry_intact"]
    assert (check.passed, model.champion()) == (False, 1)
    shown = model.shown("champion")
    assert (shown["version"], shown["verdict"]) == (2, "keep") and "moved outside" in shown["reason"]
    repaired = model.materialize("champion", action="rollback", version=2, **ADA)
    assert checks(repaired)["registry_intact"].passed and model.champion() == 2
    assert watch.states() == [(model.name, True, "sound")]


@pytest.mark.promise(9)
@pytest.mark.fault(46)
def test_a_lost_alias_is_told_and_the_recorded_champion_scores_on(model, client):
    watch = Watch(model)
    client.delete_registered_model_alias(model.name, "champion")
    assert watch.states() == [(model.name, False, "alias lost")]
    assert scored_by(model, 4) == recorded(model)
    result = model.materialize("champion", version=1)
    assert "the champion alias is gone" in why(result) and not checks(result)["registry_intact"].passed
    assert model.materialize("champion", action="rollback", version=2, **ADA).success
    assert watch.states() == [(model.name, True, "sound")]


@pytest.mark.promise(9)
@pytest.mark.fault(49)
def test_a_deleted_version_scores_on_from_its_run_until_a_person_goes_back(model, client):
    watch = Watch(model)
    client.delete_model_version(model.name, "2")
    (event,) = watch.tick()
    assert plain(event.metadata)["state"] == "version deleted" and "no longer in the registry" in event.description
    assert "batches go on being scored by version 2, by its digest" in event.description
    assert (
        scored_by(model, 4)
        == recorded(model)
        == {(2, PromotionLedger(model.storage, model.name).champion().digest[:12])}
    )

    client.set_registered_model_alias(model.name, "champion", "1")  # once the newest promotion that is left
    assert watch.states() == [(model.name, False, "moved by hand")]
    assert scored_by(model, 5) == recorded(model)
    assert not checks(model.materialize("champion", version=1))["registry_intact"].passed

    assert model.materialize("champion", action="rollback", **ADA).success
    assert model.champion() == 1 and watch.states() == [(model.name, True, "sound")]
    assert PromotionLedger(model.storage, model.name).champion().number == 3
    said = why(model.materialize("champion", action="rollback", **ADA))
    assert "there is no champion before the present one to go back to" in said


@pytest.mark.promise(6, 9)
@pytest.mark.fault(49, 62)
def test_a_changed_artifact_stops_scoring_with_the_digest_and_what_to_do(model):
    watch, path = Watch(model), stored(model, 2)
    digest = PromotionLedger(model.storage, model.name).champion().digest
    watch.tick()
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    (event,) = watch.tick()
    assert plain(event.metadata)["state"] == "artifact changed" and f"sha256 {digest[:12]}" in event.description
    assert watch.states() == []
    said = why(model.take_in(model.land("b4", rows(4))))
    assert f"artifact of {model.name} version 2 has changed since it was registered" in said
    assert f"expected sha256 {digest[:12]}.." in said and "Restore the artifact, or train and register" in said
    assert latest(model.storage, model.name, "predictions", "b4") is None

    path.write_bytes(content)
    assert watch.states() == [(model.name, True, "sound")]
    assert scored_by(model, 4) == recorded(model)
    path.parent.rename(path.parent.with_name("elsewhere"))
    (event,) = watch.tick()
    assert plain(event.metadata)["state"] == "artifact missing" and "go on being scored" not in event.description
    assert "version 2 is missing" in why(model.take_in(model.land("b5", rows(5))))
    assert model.materialize("champion", action="rollback", **ADA).success
    assert watch.states() == [(model.name, True, "sound")]
    assert {version for version, _ in scored_by(model, 6)} == {1}


@pytest.mark.promise(3)
@pytest.mark.fault(34)
def test_a_crash_between_the_alias_and_its_record_is_sound_and_finished_by_the_next_step(model, monkeypatch):
    watch = Watch(model)
    assert watch.states() == [(model.name, True, "sound")]
    assert model.challenge(alpha=1e5).success and model.champion() == 2

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crash:
        crash.setattr(PromotionLedger, "finish", dies)
        assert not model.materialize("champion", action="promote", version=3, by="ada", reason="season").success
    assert (model.champion(), champion_version(model.storage, model.name)) == (3, 2)
    assert [state for _, _, state in watch.states()] == ["sound"]
    assert scored_by(model, 4) == recorded(model)  # by version 2: the promotion of 3 is not done
    assert checks(model.materialize("champion"))["registry_intact"].passed
    record = PromotionLedger(model.storage, model.name).champion()
    assert (record.version, record.number, record.how) == (3, 3, "by hand")
    assert (record.by, record.reason) == ("ada", "by hand: season")


@pytest.mark.promise(8)
def test_a_broken_record_and_a_broken_model_hold_up_no_other(deployment, name, model, client):
    other = deployment.model(f"{name[:50]}_b")
    other.prepare(b1=rows(1), b2=rows(2))
    assert other.challenge(alpha=0.1).success
    watch = Watch(model, other)
    sound = value_of(model.storage, model.name, "promotions", "000001")
    spoil(model.storage, model.name, "promotions", "000001")
    client.delete_registered_model_alias(other.name, "champion")
    assert watch.states() == [(other.name, False, "alias lost")]
    put_value(model.storage, model.name, "promotions", "000001", sound)
    assert watch.states() == [(model.name, True, "sound")]


@pytest.fixture
def black_hole() -> Iterator[str]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.promise(8)
@pytest.mark.fault(29, 30)
def test_with_mlflow_away_ticks_end_soon_and_afterwards_all_is_told(model, black_hole, client):
    watch = Watch(model)
    assert watch.states() == [(model.name, True, "sound")]
    sound = watch.registry
    client.set_registered_model_alias(model.name, "champion", "1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    for uri in (closed, black_hole):
        watch.registry = MlflowRegistry(tracking_uri=uri)
        for _ in range(2):
            begin = time.monotonic()
            assert watch.tick() == []
            print(f"a tick with MLflow at {uri}: {time.monotonic() - begin:.1f} s")
    watch.registry = sound
    assert watch.states() == [(model.name, False, "moved by hand")]


class Remote(MlflowRegistry):
    """A registry whose artifacts are not at hand."""

    def local_model(self, version):
        return None


def test_artifacts_elsewhere_are_copied_one_a_tick_and_remembered(deployment, name, model):
    other = deployment.model(f"{name[:50]}_b")
    other.prepare(b1=rows(1), b2=rows(2))
    assert other.challenge(alpha=0.1).success
    for each, version in ((model, 2), (other, 1)):
        path = stored(each, version)
        path.write_bytes(path.read_bytes() + b"\0")
    remote = Remote(tracking_uri=deployment.registry.tracking_uri)
    watch = Watch(model, other, registry=remote)
    first = {state: name for name, _, state in watch.states()}
    assert set(first) == {"artifact changed", "sound"}
    assert watch.states() == [(first["sound"], False, "artifact changed")]
    assert watch.states() == []
    memories = json.loads(watch.cursor)["models"]
    assert all("copied" in memories[name] for name in (model.name, other.name))


def test_a_remote_artifact_is_not_copied_again_within_the_hour(model):
    remote = Remote(tracking_uri=model.registry.tracking_uri)
    version = model.registry.champion(model.name)
    memory = {}
    assert Artifacts().look(memory, remote, version) == ("sound", "its artifact is unchanged")
    path = stored(model, 2)
    path.write_bytes(path.read_bytes() + b"\0")
    assert Artifacts().look(memory, remote, version) == ("sound", "its artifact is unchanged")
    memory["copied"]["at"] -= 3_601
    assert Artifacts().look(memory, remote, version)[0] == "artifact changed"


@pytest.mark.fault(30)
def test_a_store_that_does_not_answer_delays_no_tick_and_is_looked_at_once(model, monkeypatch):
    monkeypatch.setattr(remote_artifact, "_PATIENCE", 0.05)
    answer, asked = threading.Event(), []

    class Silent(Remote):
        def verify(self, version):
            asked.append(version)
            answer.wait(60)
            raise ArtifactError("has changed")

    remote, memory = Silent(tracking_uri=model.registry.tracking_uri), {}
    version = model.registry.champion(model.name)
    for _ in range(3):
        finding = Artifacts().look(memory, remote, version)
        assert finding == ("sound", "its artifact is on a server and was not looked at yet")
    answer.set()
    for _ in range(100):
        if (finding := Artifacts().look(memory, remote, version))[0] != "sound":
            break
        time.sleep(0.05)
    assert finding == ("artifact changed", "has changed") and len(asked) == 1
    assert Artifacts().look(memory, remote, version) == finding and len(asked) == 1
