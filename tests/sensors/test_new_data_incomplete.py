"""Batches whose run died, failed or was of an older declaration: asked for again, later and later, till complete."""

import json

import dagster as dg
import pytest

from mlops_assets.errors import StorageError
from mlops_assets.modelling.manifest import BatchInfo, Manifest
from mlops_assets.records.batches import BatchLedger
from mlops_assets.records.reports import BatchReport, BatchReports
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.sensors.new_data import attempts as attempts_module
from mlops_assets.sensors.new_data import requests as requests_module
from mlops_assets.sensors.new_data import work_list
from support.ledger_rows import promote, put_value, spoil, value_of
from support.ticking import keys, two_folders, write

MINUTE, HOUR = 60.0, 3600.0


@pytest.fixture
def ticks(tmp_path):
    with dg.instance_for_test() as instance:
        yield two_folders(tmp_path, instance)


@pytest.fixture
def clock(ticks, monkeypatch):
    """The clock of the sensor and of runs; `clock.forward(seconds)` sets it on."""
    init = requests_module.NewDataTick.__init__

    def init_ahead(tick, **fields):
        init(tick, **fields)
        tick.now += ticks.ahead

    class Clock:
        def forward(self, seconds):
            ticks.ahead += seconds

    monkeypatch.setattr(requests_module.NewDataTick, "__init__", init_ahead)
    return Clock()


def report(ticks, kind, batch, identity, version=7):
    made = BatchReport(
        batch=batch,
        identity=identity,
        model_version=version,
        verdict="scored",
        reason="",
        run_id="run",
        at="2024-01-01T00:00:00+00:00",
    )
    BatchReports(ticks.storage, "bikes").put(kind, made)


def champion(ticks, version):
    made = ModelVersion(
        model="bikes", version=version, digest="digest", run_id="run", tags={"data_version": "d"}, source="source"
    )
    promote(ticks.storage, made, by="a person", reason="rollback")


def assets(result):
    return [[key.path[-1] for key in request.asset_selection] for request in result.run_requests]


@pytest.mark.promise(4)
def test_a_failed_run_is_repeated_after_1_2_and_4_minutes_each_attempt_with_a_key_of_its_own(ticks, clock):
    write(ticks.root / "bikes", "a.csv")
    ticks.tick()
    run_keys = []
    for number, minutes in ((1, 1), (2, 2), (3, 4)):
        (request,) = ticks.tick().run_requests
        assert request.tags["mlops_assets/attempt"] == str(number)
        run_keys.append(request.run_key)
        ticks.launch(request)
        clock.forward(minutes * MINUTE - 5)
        assert keys(ticks.tick()) == []
        clock.forward(10)
    assert keys(ticks.tick()) == ["a"]
    assert len(set(run_keys)) == 3


def test_the_time_between_attempts_ends_at_six_hours():
    assert [attempts_module.delay(count) / MINUTE for count in (1, 2, 3, 9, 10, 1_000)] == [1, 2, 4, 256, 360, 360]


def test_another_champion_scores_at_once_what_the_one_before_could_not(ticks):
    ticks.taken_in("a")
    put_value(ticks.storage, "bikes", "reports/predictions", "a", None)
    champion(ticks, 2)
    for _ in range(3):  # its artifact was changed, and the next attempt is hours away
        for request in ticks.tick().run_requests:
            ticks.launch(request)
    assert keys(ticks.tick()) == []
    champion(ticks, 1)
    assert keys(ticks.tick()) == ["a"]


@pytest.mark.fault(41)
def test_a_clock_that_was_set_back_a_day_starves_no_batch(ticks, clock):
    write(ticks.root / "bikes", "a.csv")
    ticks.tick()
    ticks.launch(ticks.tick().run_requests[0])
    assert keys(ticks.tick()) == []
    clock.forward(-24 * HOUR)
    assert keys(ticks.tick()) == ["a"]


@pytest.mark.promise(4)
@pytest.mark.fault(28)
def test_a_batch_that_waits_for_its_next_attempt_holds_up_none_behind_it(ticks):
    names = [f"day-{number}" for number in range(30)]
    for name in names:
        write(ticks.root / "bikes", f"{name}.csv")
    ticks.tick()
    for request in ticks.tick().run_requests:
        ticks.launch(request)
    assert keys(ticks.tick()) == names[10:20]


def test_more_waiting_batches_than_a_tick_may_ask_about_starve_none(ticks, monkeypatch):
    monkeypatch.setattr(requests_module, "MOST_LOOKED_UP", 4)
    monkeypatch.setattr(requests_module, "MOST_TRIED", 3)
    names = [f"day-{number}" for number in range(12)]
    for name in names:
        write(ticks.root / "bikes", f"{name}.csv")
    ticks.tick()
    for _ in range(4):
        for request in ticks.tick().run_requests:
            ticks.launch(request)
    write(ticks.root / "bikes", "day-99.csv")
    asked = [key for _ in range(6) for key in keys(ticks.tick())]
    assert "day-99" in asked
    assert len(json.loads(ticks.cursor)["models"]["bikes"]["batches"]["tried"]) == 3


def test_a_run_that_died_after_the_rows_were_stored_is_carried_on_with(ticks):
    marks = ticks.taken_in("a", "b", "c")
    ticks.put("bikes", "a", marks["a"], features=None)
    put_value(ticks.storage, "bikes", "reports/predictions", "b", None)
    put_value(ticks.storage, "bikes", "reports/predictions", "c", None)
    identity = BatchLedger(ticks.storage, "bikes").get("c").identity
    report(ticks, "predictions", "c", identity)
    report(ticks, "drift", "c", "others")
    report(ticks, "performance", "c", identity)
    for folder in ("predictions",):  # as if the step had never come so far
        put_value(ticks.storage, "bikes", f"reports/{folder}", "b", None)
    result = ticks.tick()
    assert dict(zip(keys(result), assets(result), strict=True)) == {
        "a": ["dataset", "features", "predictions", "drift", "performance"],
        "b": ["predictions", "drift", "performance"],
        "c": ["drift"],
    }


def test_a_batch_that_came_before_the_first_champion_is_complete(ticks):
    ticks.taken_in("a")
    put_value(ticks.storage, "bikes", "reports/drift", "a", None)
    put_value(ticks.storage, "bikes", "reports/performance", "a", None)
    assert keys(ticks.tick()) == []


def test_batches_that_landed_while_the_first_champion_was_trained_are_scored_and_no_others(ticks):
    names = [f"day-{number}" for number in (1, 2, 3, 9, 10, 11)]
    marks = ticks.taken_in(*names)
    ticks.put("bikes", "day-11", marks["day-11"], champion=2)
    assert keys(ticks.tick()) == []
    train, holdout = (
        tuple(BatchInfo(key=batch, version="v-f", rows=9, labelled=9) for batch in role)
        for role in (("day-2", "day-3"), ("day-9",))
    )
    ticks.storage.write_document("bikes", "training_set", "d", Manifest(train, holdout).to_dict())
    champion(ticks, 2)
    result = ticks.tick()
    assert (keys(result), assets(result)) == (["day-10"], [["predictions", "drift", "performance"]])
    ticks.put("bikes", "day-10", marks["day-10"], champion=2)
    assert keys(ticks.tick()) == []


@pytest.mark.fault(30)
def test_a_storage_that_does_not_answer_ends_the_tick_and_the_next_one_carries_on(ticks, monkeypatch):
    """Each model would wait for it as long, and Dagster ends a tick after 60 s."""
    ticks.taken_in("a")
    champion(ticks, 2)
    asked = []

    def away(storage, model, version):
        asked.append(model)
        raise StorageError("the store does not answer")

    with monkeypatch.context() as patch:
        patch.setattr(work_list, "batches_of_manifest", away)
        assert keys(ticks.tick()) == [] and asked == ["bikes"]
        assert json.loads(ticks.cursor)["next"] == "cars"
    write(ticks.root / "bikes", "b.csv")
    assert {key for _ in range(3) for key in keys(ticks.tick())} == {"b"}


def test_labels_that_came_later_ask_for_performance_alone(ticks):
    ticks.taken_in("a", champion=7)
    labelled = {"version": "va", "labels": "l1", "labelled": 3}
    put_value(ticks.storage, "bikes", "labelled", "a", labelled)
    result = ticks.tick()
    assert (keys(result), assets(result)) == (["a"], [["performance"]])
    ticks.launch(result.run_requests[0], dg.DagsterRunStatus.SUCCESS)
    report(ticks, "performance", "a", "va-f-l1")
    assert keys(ticks.tick()) == []
    put_value(ticks.storage, "bikes", "labelled", "a", {**labelled, "labels": "l2"})
    assert assets(ticks.tick()) == [["performance"]]  # other labels do not wait for an attempt at the first


def test_features_of_an_older_declaration_are_computed_anew(ticks):
    marks = ticks.taken_in("a", "b", "c")
    for name, excluded in (("a", ""), ("b", ""), ("c", "x")):
        record = ticks.put("bikes", name, marks[name])
        BatchLedger(ticks.storage, "bikes").put_features(record, "f", "older")
        if excluded:
            BatchLedger(ticks.storage, "bikes").exclude(name, "me", "flawed")
    result = ticks.tick()
    assert keys(result) == ["a", "b"]
    assert assets(result) == [["features", "predictions", "drift", "performance"]] * 2


def test_a_duplicate_whose_other_has_changed_is_taken_in_again(ticks):
    marks = ticks.taken_in("a", "b")
    ticks.put("bikes", "b", marks["b"], version="va", status="duplicate", features=None, reasons=("as a",))
    assert keys(ticks.tick()) == []
    ticks.put("bikes", "a", marks["a"], version="other")
    assert keys(ticks.tick()) == ["b"]


def test_of_two_batches_of_the_same_rows_the_later_is_looked_at_again(ticks):
    marks = ticks.taken_in("day-2", "day-10")
    ticks.put("bikes", "day-10", marks["day-10"], version="vday2")
    result = ticks.tick()
    assert (keys(result), assets(result)[0][0]) == (["day-10"], "dataset")


def test_a_source_that_goes_back_to_what_it_was_is_followed(ticks, clock):
    marks = ticks.taken_in("a")
    (request,) = _request_of(ticks, "a")
    ticks.launch(request, dg.DagsterRunStatus.SUCCESS)
    ticks.put("bikes", "a", "another mark", version="other")
    clock.forward(2 * MINUTE)
    ticks.tick()
    (again,) = ticks.tick().run_requests
    assert again.tags["mlops_assets/mark"] == marks["a"]
    assert again.run_key != request.run_key


def _request_of(ticks, batch):
    """The request that a batch got before it was on record."""
    content = value_of(ticks.storage, "bikes", "batches", batch)
    put_value(ticks.storage, "bikes", "batches", batch, None)
    ticks.tick()
    found = ticks.tick().run_requests
    put_value(ticks.storage, "bikes", "batches", batch, content)
    return found


@pytest.mark.promise(4)
@pytest.mark.fault(25)
def test_a_batch_whose_source_is_gone_goes_on_from_its_stored_rows(ticks):
    marks = ticks.taken_in("a")
    ticks.put("bikes", "a", marks["a"], features=None)
    (ticks.root / "bikes" / "a.csv").unlink()
    assert assets(ticks.tick()) == [["features", "predictions", "drift", "performance"]]


def test_a_broken_record_of_one_model_stops_no_other(ticks, caplog):
    spoil(ticks.storage, "bikes", "batches", "a")
    write(ticks.root / "cars", "b.csv")
    ticks.tick()
    assert keys(ticks.tick()) == ["b"]
    assert "record bikes/batches/a in" in caplog.text


def test_damaged_records_of_a_model_do_not_stop_its_intake(ticks):
    ticks.taken_in("a", "b")
    for kind, key in (("batches", "a"), ("promotions", "000001")):
        spoil(ticks.storage, "bikes", kind, key, '{"batch": "a", "sta')
    assert keys(ticks.tick()) == ["a"]  # its rows are read anew from the source
    write(ticks.root / "bikes", "c.csv", rows=9)
    ticks.tick()
    assert "c" in keys(ticks.tick())
