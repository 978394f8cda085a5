"""Ticks of Dagster's own daemon: missed for a day, too long, with a request that cannot be launched, started anew."""

import os
import sys
from collections import Counter
from datetime import timedelta

import pytest
from ticks import CLOCK, MODEL_NAME, daemon_on

from support.daemon import wait_until
from support.synthetic import rows
from support.webhook import Webhook

pytestmark = pytest.mark.slow
SENSORS = ("new_data", "retraining", "registry_watch", "alerts")


@pytest.fixture
def home(tmp_path, monkeypatch, mlflow_schema):
    """What the code server is told of, and what it may import."""
    webhook = Webhook()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "mlflow.db").write_bytes(mlflow_schema.read_bytes())
    monkeypatch.setenv("TICKS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLOPS_ASSETS_ALERTS", webhook.url)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    yield tmp_path / "home"
    webhook.stop()


@pytest.mark.fault(42)
def test_a_daemon_that_was_off_for_25_hours_takes_in_and_trains_once(home):
    with daemon_on(home) as daemon:
        daemon.now -= timedelta(hours=25, minutes=30)
        for number in (1, 2):
            daemon.land(f"b{number}", rows(number))
        daemon.settle(schedules=True)
        assert daemon.runs("batch") == [("b1", "SUCCESS"), ("b2", "SUCCESS")]
        assert len(daemon.trained_on()) == 1 and len(daemon.runs("training")) == 1
        before = Counter(daemon.ticks(CLOCK))
        daemon.now += timedelta(hours=25)
        daemon.land("b3", rows(3))
        daemon.settle(schedules=True)
        assert daemon.runs("batch")[2:] == [("b3", "SUCCESS")]
        assert daemon.runs("training") == [("", "SUCCESS")] * 2
        assert len(set(daemon.trained_on())) == len(daemon.trained_on()) == 2
        missed = Counter(daemon.ticks(CLOCK)) - before
        assert 1 <= sum(missed.values()) <= 8 and missed["FAILURE"] == 0


@pytest.mark.fault(43)
def test_a_tick_that_lasts_longer_than_it_may_changes_nothing_and_the_next_one_carries_on(home, monkeypatch):
    with daemon_on(home) as daemon:
        for number in (1, 2):
            daemon.land(f"b{number}", rows(number))
        daemon.land("bad", rows(9).drop(columns="x"))
        daemon.settle()
        assert len(daemon.trained_on()) == 1
        daemon.land("b3", rows(3))  # a batch, a batch to train on, an alert and an alias: something for each sensor
        daemon.start("alerts")
        daemon.registry._client().delete_registered_model_alias(MODEL_NAME, "champion")
        (home / "linger").write_text(" ".join(SENSORS))
        for sensor in SENSORS:
            (home / f"{sensor}.ended").unlink(missing_ok=True)
        before = daemon.stores(), daemon.on_record()
        with monkeypatch.context() as patch:
            patch.setattr("dagster._grpc.client.DEFAULT_SENSOR_GRPC_TIMEOUT", 3)
            daemon.round()
        assert [daemon.ticks(sensor)[-1] for sensor in SENSORS] == ["FAILURE"] * 4
        (home / "linger").unlink()
        wait_until(lambda: len(list(home.glob("*.ended"))) == len(SENSORS), "each evaluation has ended", 60)
        assert (daemon.stores(), daemon.on_record()) == before
        daemon.settle()
        assert daemon.runs("batch")[-1] == ("b3", "SUCCESS")
        assert [daemon.ticks(sensor)[-1] for sensor in SENSORS if sensor != "alerts"] == ["SKIPPED"] * 3


@pytest.mark.fault(28)
def test_a_run_that_cannot_be_launched_holds_up_none_of_its_tick_and_none_is_launched_twice(home):
    with daemon_on(home, launcher="PickyLauncher") as daemon:
        for number, batch in enumerate(("b1", "poison", "b2"), start=1):
            daemon.land(batch, rows(number))
        daemon.settle()
        runs = Counter(batch for batch, _ in daemon.runs("batch"))
        assert dict(daemon.runs("batch"))["poison"] == "FAILURE"
        assert (runs["b1"], runs["b2"]) == (1, 1) and runs["poison"] >= 1
        assert {status for batch, status in daemon.runs("batch") if batch != "poison"} == {"SUCCESS"}
        assert len(daemon.trained_on()) == 1
        assert "FAILURE" not in daemon.ticks("new_data")
