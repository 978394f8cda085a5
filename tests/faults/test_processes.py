"""The machine crashes: every process is killed at once, in the middle of a promotion."""

import os
import signal

import dagster as dg
import pytest

from support.daemon import Loop, wait_until
from support.synthetic import rows
from support.whole import assert_whole

pytestmark = [pytest.mark.slow, pytest.mark.begun_first]
LIMITS = {"max_runtime_seconds: 14400": 45, "poll_interval_seconds: 30": 3, "free_slots_after_run_end_seconds: 60": 3}
"""Settings of dagster.yaml with the seconds that they are here, lest the test last for hours."""


@pytest.mark.fault(36)
def test_after_a_crash_of_all_processes_the_run_is_ended_its_slot_freed_and_the_training_repeated(tmp_path):
    loop = Loop(tmp_path, ["plain"])
    settings = (tmp_path / "dagster" / "dagster.yaml").read_text()
    for setting, seconds in LIMITS.items():
        assert setting in settings
        settings = settings.replace(setting, f"{setting.split(':')[0]}: {seconds}")
    (tmp_path / "dagster" / "dagster.yaml").write_text(settings)
    armed = tmp_path / "kill" / "plain" / "before_alias"
    armed.parent.mkdir(parents=True)
    armed.write_text("wait")
    with loop:
        for number in (1, 2):
            loop.land("plain", f"b{number}", rows(number))
        wait_until(lambda: not armed.exists(), "the training promotes", 400)
        for process in (loop.server, loop.daemon):
            os.killpg(process.pid, signal.SIGKILL)
            assert process.wait(10) == -signal.SIGKILL
        (crashed,) = loop.training_runs("plain")
        assert crashed.status == dg.DagsterRunStatus.STARTED and loop.champion("plain") is None
        assert loop.claimed_slots(["plain"]) == ["plain_champion"]
        loop.start_server()
        loop.start_daemon()
        wait_until(lambda: loop.instance.get_run_by_id(crashed.run_id).is_finished, "the run is ended", 180)
        assert loop.instance.get_run_by_id(crashed.run_id).status == dg.DagsterRunStatus.FAILURE
        wait_until(lambda: loop.judged("plain"), "the training was repeated", 300)
        loop.settle()
        wait_until(lambda: not loop.claimed_slots(["plain"]), "the slots are free")
        assert_whole(loop, "plain", 2)
        assert [run.status.name for run in loop.training_runs("plain")] == ["FAILURE", "SUCCESS"]
        assert loop.champion("plain") == 1
