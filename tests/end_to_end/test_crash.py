"""A process killed while it promotes: the alias is unmoved or fully moved, and the next run carries on."""

import shutil
import signal
import subprocess
import sys

import dagster as dg
import pytest

from mlops_assets.records.promotions import PromotionLedger
from support import TESTS
from support.deployment import DeployedModel, Deployment
from support.synthetic import rows

pytestmark = pytest.mark.slow
ONE_TRAINING = ("-m", "support.one_training")
ADA = {"by": "ada", "reason": "drill"}


@pytest.fixture(scope="module")
def killed(tmp_path_factory, mlflow_schema) -> dict[str, DeployedModel]:
    """Version 1 is champion, then a process that trained a better version 2 dies before or after moving the alias."""
    models, processes = {}, []
    for when in ("before", "after"):
        home = tmp_path_factory.mktemp(f"killed_{when}")
        shutil.copy(mlflow_schema, home / "mlflow.db")
        models[when] = Deployment(home).model("ridge")
        models[when].prepare(b1=rows(1), b2=rows(2))
        assert models[when].challenge(alpha=1e4).success
        command = [sys.executable, *ONE_TRAINING, str(home), "ridge", "--params", '{"alpha": 0.1}', "--die", when]
        processes.append(subprocess.Popen(command, cwd=TESTS, stderr=subprocess.DEVNULL))
    assert [process.wait(timeout=300) for process in processes] == [-signal.SIGKILL, -signal.SIGKILL]
    for model in models.values():
        end_dead_runs(model.instance)
    return models


def end_dead_runs(instance: dg.DagsterInstance) -> None:
    """What Dagster's run monitoring does within its time limits: fail the run, free its slot of the champion's pool."""
    dead = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    assert len(dead) == 1
    slots = instance.event_log_storage
    assert slots.get_concurrency_info("ridge_champion").claimed_slots[0].run_id == dead[0].run_id
    instance.report_run_failed(dead[0])
    slots.free_concurrency_slots_for_run(dead[0].run_id)
    assert slots.get_concurrency_info("ridge_champion").claimed_slots == []


def promotions(model: DeployedModel) -> list[tuple[int, int, str]]:
    """Number, version and state of all promotions, newest first."""
    ledger = PromotionLedger(model.storage, model.name).all()
    states = {each.number: "done" if each.done else "abandoned" if each.abandoned else "intended" for each in ledger}
    return [(each.number, each.version, states[each.number]) for each in ledger]


@pytest.mark.promise(3)
@pytest.mark.fault(34)
def test_killed_before_the_alias_moved(killed):
    model = killed["before"]
    assert model.champion() == 1
    assert promotions(model) == [(2, 2, "intended"), (1, 1, "done")]
    assert model.materialize("champion", version=2).success
    shown = model.shown("champion")
    assert (model.champion(), shown["verdict"], shown["version_before"]) == (2, "promote", 1)
    assert promotions(model) == [(3, 2, "done"), (2, 2, "abandoned"), (1, 1, "done")]


@pytest.mark.promise(3)
@pytest.mark.fault(34)
def test_killed_after_the_alias_moved(killed):
    model = killed["after"]
    assert model.champion() == 2
    assert promotions(model) == [(2, 2, "intended"), (1, 1, "done")]  # what the crash left undone
    assert model.take_in(model.land("b3", rows(3))).success
    assert set(model.predictions("b3")["model_version"]) == {1}  # as long as the promotion is not done

    assert model.challenge(alpha=0.1).success  # on b3 too: judged against version 2, not taken for moved by hand
    assert "moved outside" not in model.shown("champion")["reason"]
    assert (2, 2, "done") in promotions(model)
    assert model.materialize("champion", action="rollback", version=1, **ADA).success
    assert model.champion() == 1
    assert model.materialize("champion", action="rollback", version=2, **ADA).success
    assert model.champion() == 2
