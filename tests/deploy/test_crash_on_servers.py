"""A machine crashes in the middle of a promotion and another carries on; Dagster's own database goes and comes back."""

import time
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.storage.tags import MAX_RUNTIME_SECONDS_TAG

from support.daemon import wait_until
from support.servers.loop import LoopOnServers
from support.servers.world import World, world_of_servers
from support.synthetic import rows
from support.whole import assert_whole

pytestmark = [pytest.mark.slow, pytest.mark.begun_first]
MODEL = "plain"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of_servers(tmp_path_factory.mktemp("crash")) as started, pytest.MonkeyPatch.context() as patch:
        for name, value in started.servers.items():
            patch.setenv(name, value)
        yield started


@pytest.fixture(scope="module")
def machines(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[LoopOnServers, LoopOnServers]:
    one, other = (LoopOnServers(tmp_path_factory.mktemp(name), MODEL, world) for name in ("one", "other"))
    return one, other


@pytest.mark.promise(3)
@pytest.mark.fault(36)
def test_a_machine_crashes_and_another_carries_on_and_so_it_does_when_dagsters_database_was_away(
    world: World, machines: tuple[LoopOnServers, LoopOnServers]
) -> None:
    one, other = machines
    armed = one.home / "kill" / MODEL / "before_alias"
    armed.parent.mkdir(parents=True)
    armed.write_text("wait")
    with one:
        for number in (1, 2):
            one.land(MODEL, f"b{number}", rows(number))
        wait_until(lambda: not armed.exists(), "the training promotes", 300)
        one.crash()
    with other:
        carries_on_after_the_crash(other)
        dagsters_database_is_away_between_ticks(other, world)
        dagsters_database_restarts_in_a_run(other, world)
        other.settle()
        # What was cut off is asked for again a minute later, and makes another training set the newest.
        wait_until(
            lambda: other.trainings(MODEL)[-1].data_version == other.newest_data_version(MODEL),
            "all batches are trained on",
            300,
        )
        other.settle()
        wait_until(lambda: not other.claimed_slots([MODEL]), "the slots are free")
        assert_whole(other, MODEL, 4)


def carries_on_after_the_crash(machine: LoopOnServers) -> None:
    """Dagster ends the dead run after its longest time, frees its slot, and the training is repeated."""
    (crashed,) = machine.training_runs(MODEL)
    assert crashed.status == dg.DagsterRunStatus.STARTED and machine.champion(MODEL) is None
    assert machine.claimed_slots([MODEL]) == ["plain_champion"]
    machine.instance.add_run_tags(crashed.run_id, {MAX_RUNTIME_SECONDS_TAG: "1"})  # in place of four hours
    wait_until(lambda: machine.judged(MODEL), "the training was repeated", 300)
    wait_until(lambda: not machine.unfinished(), "its run has ended")
    assert [run.status.name for run in machine.training_runs(MODEL)][:2] == ["FAILURE", "SUCCESS"]
    assert machine.champion(MODEL) == 1


def dagsters_database_is_away_between_ticks(machine: LoopOnServers, world: World) -> None:
    """What lands meanwhile is taken in afterwards; the daemon and the code server go on."""
    world.dagster.stop()
    try:
        machine.land(MODEL, "b3", rows(3))
        found = machine.doctor()
    finally:
        world.dagster.start()
    assert found["instance"]["severity"] == "fault" and "Connection refused" in found["instance"]["found"], found
    assert "`storage` in dagster.yaml" in found["instance"]["mend"]
    assert {name: found[name]["severity"] for name in ("storage", "records", "MLflow")} == dict.fromkeys(
        ("storage", "records", "MLflow"), "fine"
    )
    wait_until(lambda: "b3" in machine.taken_in(MODEL), "the batch is taken in", 300)
    assert machine.daemon is not None and machine.daemon.poll() is None


def dagsters_database_restarts_in_a_run(machine: LoopOnServers, world: World) -> None:
    """A run that goes on writes its events once the database is back; one that was just writing is repeated."""
    machine.land(MODEL, "b4", rows(4))
    begun = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    wait_until(lambda: bool(machine.instance.get_runs(begun)), "a run goes on")
    world.dagster.stop()
    time.sleep(2)
    world.dagster.start()
    wait_until(lambda: "b4" in machine.taken_in(MODEL), "the batch is taken in", 300)
    assert machine.daemon is not None and machine.daemon.poll() is None
