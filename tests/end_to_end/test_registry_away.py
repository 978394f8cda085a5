"""MLflow is down, then a black hole, for ten ticks of each sensor: the loop goes on where it can, and catches up."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.daemon import Loop, end, listens, wait_until
from support.relay import Relay, free_port
from support.synthetic import rows

pytestmark = [pytest.mark.slow, pytest.mark.begun_first]
LONGEST = 30.0
"""Seconds that a tick may take while MLflow is away: a promise, since Dagster gives up on a sensor after 60."""


def serve_mlflow(home: Path, port: int) -> "subprocess.Popen[bytes]":
    """A real MLflow server on the database of the loop."""
    where = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    stores = ("--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}")
    no_jobs = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight processes for what nothing here uses
    with (home / "mlflow.log").open("wb") as log:
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "mlflow"), "server", *where, *stores],
            env=os.environ | no_jobs,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@pytest.mark.promise(8)
@pytest.mark.fault(29, 30)
def test_the_loop_goes_on_without_mlflow_and_catches_up(tmp_path):
    relay = Relay(free_port())
    loop = Loop(tmp_path, ["plain"], {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{relay.port}"})
    server = serve_mlflow(tmp_path, relay.to_port)
    wait_until(lambda: listens(relay.to_port), "MLflow's server listens")
    relay.set("pass")
    with loop:
        try:
            for batch in ("b1", "b2"):
                loop.land("plain", batch, rows(int(batch[1:])))
            loop.settle()
            assert loop.champion("plain") == 1
            for batch, mode in (("b3", "refuse"), ("b4", "swallow")):
                relay.set(mode)
                since = time.time()
                loop.land("plain", batch, rows(int(batch[1:])))
                for sensor in ("new_data", "retraining", "registry_watch"):
                    wait_until(lambda sensor=sensor, since=since: len(loop.ticks(sensor, since)) >= 10, sensor, 400)
                    ticks = loop.ticks(sensor, since)
                    assert [tick.status.name for tick in ticks if tick.status.name == "FAILURE"] == [], sensor
                    assert max(tick.end_timestamp - tick.timestamp for tick in ticks) < LONGEST, sensor
                assert batch in loop.taken_in("plain")
                # By this machine's copy of the champion's files: the champion is on record, no registry is asked.
                wait_until(lambda batch=batch: batch in loop.scored("plain"), "scored", 600)
                relay.set("pass")
                loop.settle()
            assert set(loop.scored("plain")) == {"b3", "b4"}
            assert [training.status for training in loop.trainings("plain")] == ["judged"] * 3
        finally:
            end(server)
