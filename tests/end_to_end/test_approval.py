"""`approval="required"`: what would move the alias waits for a person, and is judged anew when that person says yes."""

import pytest

from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.records.requests import Requests, WaitingVersion
from mlops_assets.records.trainings import TrainingLedger
from mlops_assets.records.versions import OwnVersions
from support.deployment import DeployedModel, Deployment, why
from support.ledger_rows import latest
from support.synthetic import rows

POOR, GOOD, BETTER = {"alpha": 1e4}, {"alpha": 30.0}, {"alpha": 0.1}
ADA = {"by": "ada", "reason": "read the evaluation"}


@pytest.fixture
def model(deployment: Deployment, name: str) -> DeployedModel:
    model = deployment.model(name, approval="required")
    model.prepare(b1=rows(1), b2=rows(2))
    return model


def waiting(model: DeployedModel) -> list[int]:
    found = Requests(model.storage, model.name).waiting()
    return [] if found is None else [found.version]


def verdicts(model: DeployedModel) -> dict[int | None, str]:
    return {each.version: each.verdict for each in TrainingLedger(model.storage, model.name).all()}


def approve(model: DeployedModel, **asked):
    return model.materialize("champion", action="approve", **{**ADA, **asked})


def test_the_first_model_waits_without_failing_the_training_and_is_approved_by_name(model):
    assert model.train(**POOR).success
    shown = model.shown("champion")
    assert (model.champion(), waiting(model), shown["waiting_for_approval"]) == (None, [1], 1)
    assert "version" not in shown and shown["verdict"] == "promote"
    assert shown["reason"] == (
        f"first model: all absolute gates passed; waits for approval: launch the job {model.name}_approve"
    )
    assert PromotionLedger(model.storage, model.name).champion() is None
    assert model.take_in(model.land("b4", rows(4))).success  # not scored, and no failure
    assert latest(model.storage, model.name, "predictions", "b4") is None

    assert approve(model).success
    shown, record = model.shown("champion"), PromotionLedger(model.storage, model.name).champion()
    assert (model.champion(), waiting(model), shown["version"], shown["decided_by"]) == (1, [], 1, "ada")
    assert shown["reason"] == "approved: read the evaluation; first model: all absolute gates passed"
    assert "waiting_for_approval" not in shown
    assert (record.version, record.by, record.reason) == (1, "ada", shown["reason"])


@pytest.mark.slow
def test_a_newer_challenger_replaces_the_one_that_waits(model):
    assert model.challenge(**POOR).success and approve(model).success
    assert model.challenge(**GOOD).success and waiting(model) == [2]
    assert model.challenge(**BETTER).success
    assert (waiting(model), model.champion(), model.shown("champion")["waiting_for_approval"]) == ([3], 1, 3)
    assert "version 2 does not wait for approval; version 3 does" in why(approve(model, version=2))
    assert model.champion() == 1

    assert approve(model).success
    shown = model.shown("champion")
    assert (model.champion(), waiting(model), shown["version_before"]) == (3, [], 1)
    assert shown["improvement"] > 1 and all(row["passed"] for row in shown["gates"])
    assert "no version waits for approval" in why(approve(model))


def test_the_training_ledger_tells_what_waits_and_what_became_of_it(deployment, name):
    model = deployment.model(name, approval="required")
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge(**POOR).success
    assert verdicts(model) == {1: "waiting for approval"}
    (before,) = TrainingLedger(model.storage, name).all()
    assert approve(model).success
    (after,) = TrainingLedger(model.storage, name).all()
    assert (after.status, after.verdict, after.version) == ("judged", "promote", 1)
    assert (after.at, after.run_id, after.trigger) == (before.at, before.run_id, before.trigger)
    assert "no version waits for approval" in why(approve(model))


@pytest.mark.slow
def test_what_waits_is_judged_against_the_champion_of_the_day(model):
    assert model.challenge(**POOR).success and approve(model).success
    assert model.challenge(**GOOD).success and waiting(model) == [2]
    assert model.challenge(**POOR, fit_intercept=False).success
    assert waiting(model) == [2], "an inconclusive or worse challenger does not replace it"
    best = model.challenge(**BETTER)
    assert best.success and waiting(model) == [4]
    assert model.materialize("champion", action="promote", version=4, by="bo", reason="urgent").success
    assert (model.champion(), waiting(model)) == (4, [])

    digest = OwnVersions(model.records, model.registry).version(2).digest
    Requests(model.storage, model.name).put_waiting(
        WaitingVersion(2, digest, 1)
    )  # as a crash before it was cleared leaves it
    said = why(approve(model))
    assert "version 2 is not made champion: " in said
    assert (model.champion(), waiting(model)) == (4, [])
    assert model.registry.version(model.name, 2).tags["verdict"] in ("keep", "inconclusive")


def test_approval_needs_a_name_a_reason_and_no_hold(model):
    assert model.challenge(**POOR).success and approve(model).success
    assert model.challenge(**BETTER).success and waiting(model) == [2]
    assert "action 'approve' needs `by` (who) and `reason` (why)" in why(approve(model, by=" "))
    assert model.materialize("champion", action="hold", by="bo", reason="audit").success
    assert "but promotions are held by bo: audit" in why(approve(model))
    assert (model.champion(), waiting(model)) == (1, [2])
    assert model.materialize("champion", action="release", by="bo", reason="done").success
    assert approve(model).success and model.champion() == 2


@pytest.mark.promise(1)
@pytest.mark.fault(62)
def test_a_changed_artifact_is_not_approved(model):
    assert model.challenge(**POOR).success
    stored = model.registry.artifact(model.registry.version(model.name, 1).run_id, "model") / "model.skops"
    stored.write_bytes(stored.read_bytes() + b"\0")
    assert "version 1 has changed since it was registered" in why(approve(model))
    assert model.champion() is None and PromotionLedger(model.storage, model.name).champion() is None
