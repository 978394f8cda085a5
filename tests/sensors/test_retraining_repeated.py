"""What the sensor `retraining` asks for once, and what it asks for again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from mlops_assets.assets.shared.keys import KIND, MODEL, declare, declared
from mlops_assets.records.batches import BatchLedger
from mlops_assets.records.trainings import TrainingLedger, TrainingRecord
from support.retraining_ticks import Clock


def test_what_is_declared_of_retraining_changes_what_is_decided_from(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train()
    ticks.batch(4, drift=False, decay=False)
    assert ticks.tick().run_requests == []
    model = declared("bike")
    looser = model.retraining.model_copy(update={"min_new_rows": 100})
    declare(model.model_copy(update={"retraining": looser}))
    (request,) = ticks.tick().run_requests
    assert request.tags["mlops_assets/trigger"] == "volume"


def test_volume_and_age_that_a_training_has_answered_to_do_not_ask_again_with_each_batch(ticks):
    model = declared("bike")
    eager = model.retraining.model_copy(update={"min_new_rows": 200, "max_age": "2D"})
    declare(model.model_copy(update={"retraining": eager}))
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train(days_ago=3)
    for number in (4, 5):
        ticks.batch(number, drift=False, decay=False)
    (request,) = ticks.tick().run_requests
    assert request.tags["mlops_assets/trigger"] == "volume, age"
    ticks.train(verdict="inconclusive", version=2)
    ticks.batch(6, drift=False, decay=False)
    assert ticks.tick().run_requests == []
    ticks.batch(7, drift=False, decay=False)
    (request,) = ticks.tick().run_requests
    assert request.tags["mlops_assets/trigger"] == "volume"


def test_training_sets_that_were_refused_do_not_use_up_the_budget_of_the_first_training(ticks):
    for number in range(1, 16):
        ticks.batch(number)
        if number >= 3:
            assert len(ticks.tick().run_requests) == 1, f"held back at batch {number}"
            ticks.train(status="refused", verdict="keep", version=None)


@pytest.mark.promise(2)
@pytest.mark.fault(54)
def test_a_key_is_never_used_again_by_a_run_that_trained_on_other_data(ticks):
    """Dagster drops a request whose key it knows, and the sensor would ask for it at every tick."""
    for number in (1, 2, 3):
        ticks.batch(number)
    (request,) = ticks.tick().run_requests
    ticks.run(request, dg.DagsterRunStatus.SUCCESS)  # it found a batch more, say, which was excluded since
    (again,) = ticks.tick().run_requests
    assert (request.run_key[-2:], again.run_key[-2:]) == ("/1", "/2")


@pytest.mark.fault(41)
def test_the_last_training_is_the_one_written_last_though_the_clock_was_set_back(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train(days_ago=-1)
    for number in (4, 5):
        ticks.batch(number, drift=True, decay=False)
    ticks.train(verdict="inconclusive", version=2)
    ticks.batch(6, drift=False, decay=False)
    assert ticks.tick().run_requests == []  # else b4 and b5 would ask again, as if nothing had answered to them


def test_a_training_with_parameters_of_a_person_that_died_asks_for_none_by_the_sensor(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    version, _ = ticks.train()
    own = TrainingRecord(
        data_version=version,
        declaration_version="0123456789abcdef",
        status="fitted",
        run_id="run",
        at=datetime.now(UTC).isoformat(),
        version=2,
    )
    TrainingLedger(ticks.storage, "bike").put(own)
    ticks.batch(4, drift=False, decay=False)
    assert ticks.tick().run_requests == []
    assert ticks.decisions()[0]["reason"] == "nothing asks for a training"


def test_a_cursor_of_another_release_is_no_obstacle(ticks):
    ticks.cursor = '{"models": {"bike": {"unheard": "of"}, "gone": {}}, "next": "gone"}'
    for number in (1, 2, 3):
        ticks.batch(number)
    assert len(ticks.tick().run_requests) == 1
    assert "gone" not in ticks.cursor


def test_a_run_that_hangs_while_a_batch_is_taken_in_holds_a_training_back_for_15_minutes(ticks, monkeypatch):
    for number in (1, 2, 3):
        ticks.batch(number)
    create_run_for_test(ticks.instance, tags={MODEL: "bike", KIND: "batch"}, status=dg.DagsterRunStatus.STARTED)
    begin, asked = datetime.now(UTC), []
    for minutes in (0, 1, 14, 16):
        monkeypatch.setattr(
            "mlops_assets.sensors.retraining.sensor.datetime", Clock(begin + timedelta(minutes=minutes))
        )
        asked.append(len(ticks.tick().run_requests))
    assert asked == [0, 0, 0, 1]


def test_batches_that_wait_for_the_features_of_a_new_declaration_are_waited_for(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train()
    ticks.batch(4, drift=True, decay=True)
    ticks.batch(5, drift=True, decay=True)
    old = BatchLedger(ticks.storage, "bike").get("b1")
    BatchLedger(ticks.storage, "bike").put(replace(old, features_code="that of the declaration before"))
    assert ticks.tick().run_requests == []  # no run is under way between two groups of ten
    assert ticks.decisions()[0]["held_back_by"] == "taking in"
    BatchLedger(ticks.storage, "bike").put(old)
    assert len(ticks.tick().run_requests) == 1


def test_a_training_that_failed_is_not_tried_at_once_because_a_batch_has_come(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.run(ticks.tick().run_requests[0], dg.DagsterRunStatus.FAILURE)
    ticks.batch(4)
    assert ticks.tick().run_requests == []
    assert ticks.decisions()[0]["held_back_by"] == "wait before retry"


def test_batches_that_a_window_has_left_out_are_not_new(ticks):
    policy = {"first_after": 3, "cool_down": 0, "min_new_rows": 150, "growth": None}
    ticks.model("bike", window=2, retraining=policy).build_defs()
    for number in range(1, 7):
        ticks.batch(number)
    ticks.train()  # on b4 and b5, judged on b6
    ticks.batch(7, drift=False, decay=False)
    assert ticks.tick().run_requests == []
    evidence = {row.data["condition"]: row.data["found"] for row in ticks.newest()["evidence"].records}
    assert evidence["volume"].startswith("100 labelled rows in 1 batch unknown")
    ticks.batch(8, drift=False, decay=False)
    (request,) = ticks.tick().run_requests
    assert request.tags["mlops_assets/trigger"] == "volume"


def test_a_training_that_a_person_cancelled_is_left_alone(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    (request,) = ticks.tick().run_requests
    ticks.run(request, dg.DagsterRunStatus.CANCELED)
    assert ticks.tick().run_requests == []
    assert "a person cancelled the training" in ticks.decisions()[0]["reason"]
    ticks.batch(4)
    (request,) = ticks.tick().run_requests  # other data
    assert request.run_key.endswith("/1")
