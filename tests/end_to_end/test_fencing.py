"""A trainer that stalled, was failed and freed its slot wakes after another one has promoted: it changes nothing."""

from collections.abc import Callable

import dagster as dg
import pytest

from mlops_assets.assets.promotion import alias_state, promote
from mlops_assets.errors import SupersededError
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from support.deployment import DeployedModel, checks, why
from support.rewind import RewoundDeployment
from support.synthetic import rows

pytestmark = pytest.mark.fault(38)


@pytest.fixture(scope="module")
def three_versions(own_deployment: RewoundDeployment, two_versions: DeployedModel) -> DeployedModel:
    """Version 2 is champion; version 3 passed its gates and is not."""
    assert two_versions.challenge(alpha=1e3).success and two_versions.champion() == 2
    own_deployment.remember()
    return two_versions


@pytest.fixture
def model(own_deployment: RewoundDeployment, three_versions: DeployedModel) -> DeployedModel:
    own_deployment.rewind()
    return three_versions


def failed_by_monitoring(model: DeployedModel) -> None:
    """What Dagster does with a run that stalls: fail it and free its slot of the champion's pool."""
    (run,) = model.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    model.instance.report_run_failed(run)
    model.instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)


def states(model: DeployedModel) -> list[tuple[int, int, str]]:
    """Number, version and state of all promotions, the newest first."""
    return [
        (each.number, each.version, "done" if each.done else "abandoned" if each.abandoned else "open")
        for each in PromotionLedger(model.storage, model.name).all()
    ]


def by_hand(model: DeployedModel, version: int) -> dg.ExecuteInProcessResult:
    return model.materialize("champion", action="promote", version=version, by="ada", reason="drill")


def stall(monkeypatch: pytest.MonkeyPatch, point: str, meanwhile: Callable[[], None]) -> None:
    """Let the first process that comes to a point wait there until `meanwhile` is done."""
    owner, name = {
        "before it is intended": (promote, "evidence_digest"),
        "before the alias": (PromotionLedger, "check_open"),
        "as the alias moves": (MlflowRegistry, "set_champion"),
        "before it is done": (PromotionLedger, "finish"),
    }[point]
    original, waited = getattr(owner, name), []

    def slow(*args: object) -> object:
        if not waited:
            waited.append(True)
            meanwhile()
        return original(*args)

    monkeypatch.setattr(owner, name, slow)


def last_error(result: dg.ExecuteInProcessResult) -> str:
    """All that the failed step told of its error."""
    event = next(event for event in result.all_events if event.is_step_failure)
    return event.step_failure_data.error.to_string()


@pytest.mark.parametrize(
    ("point", "numbers"),
    [
        ("before it is intended", [(3, 1, "done"), (2, 2, "done"), (1, 1, "done")]),
        ("before the alias", [(4, 1, "done"), (3, 3, "abandoned"), (2, 2, "done"), (1, 1, "done")]),
        ("as the alias moves", [(4, 1, "done"), (3, 3, "abandoned"), (2, 2, "done"), (1, 1, "done")]),
        ("before it is done", [(4, 1, "done"), (3, 3, "done"), (2, 2, "done"), (1, 1, "done")]),
    ],
)
def test_a_stalled_trainer_that_wakes_late_leaves_champion_alias_and_ledger(model, monkeypatch, point, numbers):
    """A promotes version 3 and stalls; its run is failed and its slot freed; B promotes version 1."""

    def meanwhile() -> None:
        failed_by_monitoring(model)
        assert by_hand(model, 1).success and model.champion() == 1

    stall(monkeypatch, point, meanwhile)
    late = by_hand(model, 3)
    assert SupersededError.__name__ in last_error(late) and not late.success
    assert states(model) == numbers
    assert (model.champion(), PromotionLedger(model.storage, model.name).champion().version) == (1, 1)
    run = model.instance.get_run_by_id(late.run_id)
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert model.take_in(model.land("b5", rows(5))).success
    assert set(model.predictions("b5")["model_version"]) == {1}


def test_a_run_that_was_failed_may_not_promote_even_when_nobody_else_did(model, monkeypatch):
    stall(monkeypatch, "before it is intended", lambda: failed_by_monitoring(model))
    late = by_hand(model, 1)
    assert "version 1 is not promoted: its run" in why(late) and "is FAILURE in Dagster" in why(late)
    assert (model.champion(), states(model)) == (2, [(2, 2, "done"), (1, 1, "done")])
    assert checks(by_hand(model, 1))["registry_intact"].passed and model.champion() == 1


def test_a_run_of_which_dagster_does_not_answer_may_not_promote(model, monkeypatch):
    def away(*_: object) -> None:
        raise OSError("runs.db is locked")

    monkeypatch.setattr(alias_state, "why_over", away)
    assert "Dagster does not say whether its run" in why(by_hand(model, 1))
    assert (model.champion(), states(model)) == (2, [(2, 2, "done"), (1, 1, "done")])


def test_while_a_promotion_is_under_way_in_a_live_run_no_other_is_begun(model, monkeypatch):
    refused: list[str] = []

    def meanwhile() -> None:  # the slot was lost, the run goes on
        (run,) = model.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        model.instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        refused.append(why(by_hand(model, 2)))

    stall(monkeypatch, "before the alias", meanwhile)
    assert by_hand(model, 1).success
    assert "promotion 3 of version 1 is under way in run" in refused[0] and "wait for it to end" in refused[0]
    assert (model.champion(), states(model)[0]) == (1, (3, 1, "done"))
