"""What a person may do to the alias: promote, roll back, hold, release; and what happens when it is moved elsewhere."""

import pytest
from mlflow import MlflowClient

from mlops_assets.records.requests import Requests
from support.deployment import DeployedModel, why
from support.rewind import RewoundDeployment
from support.synthetic import rows

ADA = {"by": "ada", "reason": "complaints since Monday"}


@pytest.fixture
def model(promoted: DeployedModel) -> DeployedModel:
    return promoted


@pytest.fixture
def deployment(own_deployment: RewoundDeployment) -> RewoundDeployment:
    return own_deployment


def decided(model: DeployedModel, version: int) -> str:
    """The reason that a run of champion alone gives."""
    assert model.materialize("champion", version=version).success
    return model.shown("champion")["reason"]


@pytest.fixture
def client(deployment: RewoundDeployment) -> MlflowClient:
    return MlflowClient(tracking_uri=deployment.registry.tracking_uri)


def test_actions_need_a_name_and_a_reason(model):
    for action, given in (("promote", {}), ("rollback", {"by": "ada"}), ("hold", {"by": " ", "reason": "because"})):
        said = why(model.materialize("champion", action=action, version=1, **given))
        assert f"action {action!r} needs `by` (who) and `reason` (why): open the launchpad" in said
    assert model.champion() == 2 and Requests(model.storage, model.name).hold() is None


@pytest.mark.fault(49)
def test_rollback_restores_a_former_champion(model):
    assert model.materialize("champion", action="rollback", version=1, **ADA).success
    shown = model.shown("champion")
    assert (model.champion(), shown["version_before"], shown["decided_by"]) == (1, 2, "ada")
    assert shown["reason"] == "rollback: complaints since Monday"
    assert model.take_in(model.land("b4", rows(4))).success
    assert set(model.predictions("b4")["model_version"]) == {1}
    tags = model.registry.version(model.name, 1).tags
    assert (tags["decided_by"], tags["reason"]) == ("ada", "rollback: complaints since Monday")

    assert model.challenge(alpha=1e5).success
    said = why(model.materialize("champion", action="rollback", version=3, **ADA))
    assert "version 3 was never champion, so there is no way back to it" in said
    assert model.champion() == 1
    assert "did not give version 9" in why(model.materialize("champion", action="rollback", version=9, **ADA))


@pytest.mark.promise(1)
@pytest.mark.fault(56)
def test_promotion_by_hand_overrules_the_comparison_not_the_gates(model):
    assert model.challenge(alpha=1e3).success and model.champion() == 2
    assert model.materialize("champion", action="promote", version=3, **ADA).success
    shown = model.shown("champion")
    assert (model.champion(), shown["verdict"]) == (3, "promote")
    assert shown["reason"] == "by hand: complaints since Monday"
    assert all(row["passed"] for row in shown["gates"])


def test_a_verdict_on_the_champion_leaves_why_it_became_one(model):
    tags = model.registry.version(model.name, 2).tags
    assert decided(model, version=2) == "version 2 is the champion already"
    assert model.shown("champion")["verdict"] == "keep"
    assert model.registry.version(model.name, 2).tags == tags


@pytest.mark.slow
def test_hold_stops_promotions_until_released(deployment, name):
    model = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge(alpha=1e4).success
    assert model.materialize("champion", action="hold", **ADA).success
    assert model.challenge(alpha=0.1).success
    shown = model.shown("champion")
    assert (model.champion(), shown["verdict"]) == (1, "promote")
    assert shown["reason"].endswith("but promotions are held by ada: complaints since Monday")

    assert model.materialize("champion", action="release", **ADA).success
    assert model.champion() == 1
    assert model.materialize("champion").success
    assert (model.champion(), model.shown("champion")["verdict"]) == (2, "promote")


@pytest.mark.promise(9)
@pytest.mark.fault(46)
def test_hold_outlives_a_lost_alias(model, client):
    assert model.materialize("champion", action="hold", **ADA).success
    client.delete_registered_model_alias(model.name, "champion")
    assert model.materialize("champion", action="rollback", version=1, **ADA).success
    assert "promotions are held by ada" in decided(model, version=2)
    assert model.materialize("champion", action="release", **ADA).success
    assert "promotions are held" not in decided(model, version=2)
    assert model.champion() == 2


@pytest.mark.promise(9)
@pytest.mark.fault(48)
def test_alias_moved_outside_is_not_overwritten(model, client):
    client.set_registered_model_alias(model.name, "champion", "1")
    assert model.challenge(alpha=0.2).success
    shown = model.shown("champion")
    assert (model.champion(), shown["verdict"]) == (1, "keep")
    assert shown["reason"] == "the champion alias was moved outside of this pack; promote or roll back by hand"
    assert model.materialize("champion", action="rollback", version=2, **ADA).success
    assert model.challenge(alpha=1e5).success
    assert model.champion() == 2 and "moved outside" not in model.shown("champion")["reason"]


@pytest.mark.promise(9)
@pytest.mark.fault(46)
def test_deleted_alias_is_lost_until_a_person_restores_it(model, client):
    client.delete_registered_model_alias(model.name, "champion")
    said = why(model.challenge(alpha=0.2))
    assert "the champion alias is gone although a champion was promoted before" in said
    assert model.champion() is None
    client.delete_model_version(model.name, "2")
    assert "the champion alias is gone" in why(model.materialize("champion"))
    assert model.materialize("champion", action="rollback", version=1, **ADA).success
    assert model.champion() == 1
