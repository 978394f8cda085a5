"""What the sensor `retraining` asks for while runs of a model are under way, and after they failed."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from mlops_assets.assets.shared.keys import DATA_VERSION, KIND, MODEL
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from support.retraining_ticks import Clock


@pytest.mark.promise(2)
@pytest.mark.fault(52)
def test_no_second_training_while_one_is_under_way(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    (request,) = ticks.tick().run_requests
    ticks.run(request, dg.DagsterRunStatus.STARTED)
    ticks.batch(4)
    assert ticks.tick().run_requests == []
    held = ticks.decisions()[0]
    assert held["held_back_by"] == "under way" and "under way: run " in held["reason"]


@pytest.mark.promise(2)
@pytest.mark.fault(54)
def test_a_failed_training_is_tried_again_up_to_the_limit_with_the_attempt_in_its_key(ticks, monkeypatch):
    for number in (1, 2, 3):
        ticks.batch(number)
    keys = []
    clock = datetime.now(UTC)
    for minutes in (0, 0, 2, 5, 60, 120):  # the second look finds that it has to wait
        monkeypatch.setattr(
            "mlops_assets.sensors.retraining.sensor.datetime", Clock(clock + timedelta(minutes=minutes))
        )
        for request in ticks.tick().run_requests:
            keys.append(request.run_key.rsplit("/", 1)[1])
            ticks.run(request, dg.DagsterRunStatus.FAILURE)
    assert keys == ["1", "2", "3"]
    assert any("wait before retry" in each.get("held_back_by", "") for each in ticks.decisions())
    assert "given up: 3 failed attempts" in ticks.decisions()[0]["reason"]
    ticks.batch(4)  # other data
    (request,) = ticks.tick().run_requests
    assert request.run_key.endswith("/1")


def test_a_run_that_dies_changes_what_is_decided_from_though_it_leaves_no_record(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    (request,) = ticks.tick().run_requests
    run = ticks.run(request, dg.DagsterRunStatus.STARTED)
    ticks.tick()
    assert ticks.decisions()[0]["held_back_by"] == "under way"
    ticks.instance.report_run_failed(run)
    ticks.tick()
    assert ticks.decisions()[0]["held_back_by"] == "wait before retry"


@pytest.mark.promise(8)
@pytest.mark.fault(29)
def test_a_registry_that_is_away_costs_no_attempt_and_the_training_comes_when_it_is_back(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    there, ticks.registry = ticks.registry, MlflowRegistry(tracking_uri="http://127.0.0.1:9")
    for _ in range(3):
        assert ticks.tick().run_requests == []
    (held,) = ticks.decisions()
    assert held["held_back_by"] == "registry" and "MLflow at http://127.0.0.1:9 did not" in held["reason"]
    ticks.registry = there
    (request,) = ticks.tick().run_requests
    assert request.run_key.endswith("/1")


def test_the_run_of_a_refused_training_set_is_not_carried_on_with_though_it_failed_within_the_second(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    tags = {MODEL: "bike", KIND: "training", DATA_VERSION: "earlier"}
    run = create_run_for_test(ticks.instance, tags=tags, status=dg.DagsterRunStatus.FAILURE)
    ticks.train(status="refused", verdict="keep", version=None, days_ago=1e-5, run_id=run.run_id)
    ticks.batch(4)
    (request,) = ticks.tick().run_requests
    assert request.tags["mlops_assets/trigger"] == "first training"


@pytest.mark.promise(3)
def test_a_version_that_was_registered_and_never_judged_is_carried_on_with(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train(status="fitted", verdict="")
    (request,) = ticks.tick().run_requests
    assert "unfinished" in request.tags["mlops_assets/trigger"]


def test_a_version_that_was_slow_is_measured_again_a_few_times_and_with_other_data_asked_for_anew(ticks, monkeypatch):
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train(days_ago=2)
    for number in (4, 5):
        ticks.batch(number, drift=False, decay=True)
    asked, clock = [], datetime.now(UTC)
    for minutes in (0, 2, 5, 60, 120):
        monkeypatch.setattr(
            "mlops_assets.sensors.retraining.sensor.datetime", Clock(clock + timedelta(minutes=minutes))
        )
        for request in ticks.tick().run_requests:
            asked.append(request.tags["mlops_assets/trigger"])
            ticks.run(request, dg.DagsterRunStatus.FAILURE)
            ticks.train(status="slow", verdict="keep", version=2)
    assert asked == ["decay", "decay, unfinished", "decay, unfinished"]
    held = ticks.decisions()[0]
    assert held["held_back_by"] == "given up" and "version 2 was slow when it was measured (better)" in held["reason"]
    ticks.batch(6, drift=False, decay=True)
    (request,) = ticks.tick().run_requests
    assert request.tags["mlops_assets/trigger"] == "decay"


def test_batches_that_are_being_taken_in_are_waited_for(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    create_run_for_test(ticks.instance, tags={MODEL: "bike", KIND: "batch"}, status=dg.DagsterRunStatus.STARTED)
    assert ticks.tick().run_requests == []
    assert ticks.decisions()[0]["held_back_by"] == "taking in"
