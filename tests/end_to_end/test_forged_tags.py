"""Tags and alias that somebody set in MLflow: reported, and never believed."""

import pytest
from mlflow import MlflowClient
from test_registry_watch import Watch

from mlops_assets.records.promotions import PromotionLedger
from support.deployment import DeployedModel, checks, why
from support.ledger_rows import put_value, value_of
from support.rewind import RewoundDeployment
from support.synthetic import rows

ADA = {"by": "ada", "reason": "drill"}


@pytest.fixture
def client(own_deployment: RewoundDeployment) -> MlflowClient:
    return MlflowClient(tracking_uri=own_deployment.registry.tracking_uri)


@pytest.fixture
def model(promoted: DeployedModel) -> DeployedModel:
    """Version 2 is champion, and version 3 failed a gate."""
    promoted.challenge(alpha=1e9)
    assert (promoted.registry.versions(promoted.name)[0].version, promoted.champion()) == (3, 2)
    return promoted


@pytest.mark.parametrize("tag", ["promotion", "promotion_intended"])
def test_a_forged_promotion_with_the_alias_is_reported_and_does_not_score(model, client, tag):
    watch = Watch(model)
    assert watch.states() == [(model.name, True, "sound")]
    client.set_model_version_tag(model.name, "3", tag, "3")
    client.set_registered_model_alias(model.name, "champion", "3")
    assert watch.states() == [(model.name, False, "moved by hand")]
    assert model.take_in(model.land("b4", rows(4))).success
    assert set(model.predictions("b4")["model_version"]) == {2}
    assert not checks(model.materialize("champion"))["registry_intact"].passed
    assert PromotionLedger(model.storage, model.name).champion().version == 2


@pytest.mark.parametrize("tag", ["promotion", "promotion_intended"])
def test_a_rollback_does_not_go_to_a_version_whose_tags_were_forged(model, client, tag):
    client.set_model_version_tag(model.name, "3", tag, "3")
    said = why(model.materialize("champion", action="rollback", version=3, **ADA))
    assert "version 3 was never champion, so there is no way back to it" in said
    assert model.materialize("champion", action="rollback", **ADA).success
    assert model.champion() == 1


def test_a_rollback_verifies_files_and_predictions_before_the_alias_moves(model, client):
    path = model.registry.artifact(model.registry.version(model.name, 1).run_id, "model") / "model.skops"
    content = path.read_bytes()
    path.write_bytes(content + b"\0")
    assert "has changed since it was registered" in why(model.materialize("champion", action="rollback", **ADA))
    path.write_bytes(content)
    promoted = value_of(model.storage, model.name, "promotions", "000001")
    promoted["tags"]["holdout_predictions"] = "0" * 64  # as where a library computes otherwise by now
    put_value(model.storage, model.name, "promotions", "000001", promoted)
    said = why(model.materialize("champion", action="rollback", **ADA))
    assert "version 1 is not rolled back to: loads_back" in said
    assert (model.champion(), PromotionLedger(model.storage, model.name).last_number()) == (2, 2)


def test_tags_of_a_foreign_version_neither_stop_nor_steer_a_training(model, client):
    wanted = model.registry.version(model.name, 2)
    model.land("b3", rows(3))
    model.prepare(b3=rows(3))
    foreign = client.create_model_version(model.name, "file:///nowhere", tags=dict(wanted.tags))
    planned = model.pipeline.training_version
    assert model.materialize("training_set").success
    data_version = model.shown("training_set")["version"]
    for name, value in {"data_version": data_version, "declaration_version": planned, "hold": "eve: mine"}.items():
        client.set_model_version_tag(model.name, foreign.version, name, value)
    assert model.challenge().success
    trained = model.registry.versions(model.name)[0]
    assert trained.version == int(foreign.version) + 1, "it was fitted, not found"
    assert model.shown("challenger")["reused"] is False
    assert "held by" not in model.shown("champion")["reason"]
    said = why(model.materialize("champion", action="promote", version=int(foreign.version), **ADA))
    assert f"version {foreign.version} was not registered by this pack" in said


def test_an_alias_on_a_model_that_nothing_was_promoted_of_scores_nothing(deployment):
    client = MlflowClient(tracking_uri=deployment.registry.tracking_uri)
    model = deployment.model("unborn", gates={"maximum": {"rmse": 1e-9}})
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge(alpha=0.1).success and model.champion() is None
    client.set_model_version_tag("unborn", "1", "promotion", "1")
    client.set_registered_model_alias("unborn", "champion", "1")
    assert Watch(model).states() == [("unborn", False, "moved by hand")]
    assert model.take_in(model.land("b3", rows(3))).success
    assert model.ledger.get("b3").status == "accepted"
    assert PromotionLedger(model.storage, "unborn").champion() is None
