"""The daemon, or the process of a run, is killed at any point: the loop carries on, and nothing is done twice."""

import pytest

from support.daemon import Loop, wait_until
from support.deadly import POINTS
from support.synthetic import rows
from support.whole import assert_whole

pytestmark = [pytest.mark.slow, pytest.mark.begun_first]
TICK = ("TICK_CREATED", "TICK_HELD", "RUN_IDS_RESERVED", "RUN_CREATED", "RUN_LAUNCHED")
"""Where Dagster's own daemon lets itself be killed in a tick that requests a run."""


@pytest.mark.promise(3)
@pytest.mark.fault(35)
def test_the_daemon_killed_at_five_points_of_a_tick_of_either_sensor(tmp_path):
    with Loop(tmp_path, ["plain"]) as loop:
        for number in (1, 2):
            loop.land("plain", f"b{number}", rows(number))
        loop.settle()
        for number, point in enumerate(TICK, start=3):
            for sensor in ("new_data", "retraining"):  # the first asks for the batch, the second for its training
                loop.restart_daemon((sensor, point))
                if sensor == "new_data":
                    loop.land("plain", f"b{number}", rows(number))
                wait_until(loop.daemon_is_dead, f"the daemon dies at {point} of {sensor}")
            loop.restart_daemon()
            loop.settle()
            assert f"b{number}" in loop.taken_in("plain"), point
        assert_whole(loop, "plain", 2 + len(TICK))
        for batch, runs in loop.runs_by_batch("plain").items():
            assert runs == ["SUCCESS"], batch


@pytest.mark.promise(3)
@pytest.mark.fault(34)
def test_the_process_of_a_training_killed_at_any_point(tmp_path):
    models = [f"plain_{point}" for point in POINTS]
    with Loop(tmp_path, models) as loop:
        for model, point in zip(models, POINTS, strict=True):
            armed = tmp_path / "kill" / model / point
            armed.parent.mkdir(parents=True)
            armed.touch()
            for number in (1, 2):
                loop.land(model, f"b{number}", rows(number))
        wait_until(lambda: not list((tmp_path / "kill").glob("*/*")), "each training has been killed", 600)
        wait_until(lambda: all(loop.judged(model) for model in models), "each training was tried again", 400)
        loop.settle()
        wait_until(lambda: not loop.claimed_slots(models), "the slots are free")
        for model in models:
            assert_whole(loop, model, 2)
            attempts = [run.tags["mlops_assets/attempt"] for run in loop.training_runs(model)]
            assert attempts[:2] == ["1", "2"], model
