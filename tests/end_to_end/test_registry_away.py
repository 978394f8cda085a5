"""MLflow is down, then a black hole, for ten ticks of each sensor: the loop goes on where it can, and catches up."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from daemon import Loop, end, listens, wait_until
from relay import Relay, free_port
from synthetic import rows

pytestmark = [pytest.mark.slow, pytest.mark.begun_first]
LONGEST = 30.0
"""Seconds that a tick may take while MLflow is away: a promise, since Dagster gives up on a sensor after 60."""


def serve_mlflow(home: Path, port: int) -> "subprocess.Popen[bytes]":
    """A real MLflow server on the database of the loop."""
    where = ("--host", "127.0.0.1", "--port", str(port), "--workers", "1")
    stores = ("--backend-store-uri", f"sqlite:///{home / 'mlflow.db'}")
    with (home / "mlflow.log").open("wb") as log:
        return subprocess.Popen(
            [str(Path(sys.executable).parent / "mlflow"), "server", *where, *stores],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def test_the_loop_goes_on_without_mlflow_and_catches_up(tmp_path):
    relay = Relay(free_port())
    models = ["plain_one", "plain_two"]
    environment = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{relay.port}"}
    loop = Loop(tmp_path, models, environment)
    server = serve_mlflow(tmp_path, relay.to_port)
    wait_until(lambda: listens(relay.to_port), "MLflow's server listens")
    relay.set("pass")
    with loop:
        try:
            for model in models:
                for number in (1, 2, 3):
                    loop.land(model, f"b{number}", rows(number))
            loop.settle()
            assert [loop.champion(model) for model in models] == [1, 1]
            number = 3
            for mode in ("refuse", "swallow"):
                relay.set(mode)
                since = time.time()
                number += 1
                for model in models:
                    loop.land(model, f"b{number}", rows(number))
                for sensor in ("new_data", "retraining", "registry_watch"):
                    wait_until(lambda sensor=sensor, since=since: len(loop.ticks(sensor, since)) >= 10, sensor, 400)
                    ticks = loop.ticks(sensor, since)
                    assert [tick.status.name for tick in ticks if tick.status.name == "FAILURE"] == [], sensor
                    assert max(tick.end_timestamp - tick.timestamp for tick in ticks) < LONGEST, sensor
                for model in models:  # validation needs no registry, scoring does
                    assert f"b{number}" in loop.taken_in(model)
                    assert f"b{number}" not in loop.scored(model)
                relay.set("pass")
                wait_until(
                    lambda number=number: all(f"b{number}" in loop.scored(model) for model in models), "scored", 600
                )
                loop.settle()
            for model in models:
                assert set(loop.scored(model)) == {"b4", "b5"}
                assert [training.status for training in loop.trainings(model)] == ["judged"] * 3
        finally:
            end(server)
