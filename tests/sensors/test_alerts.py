"""The sensor `alerts` and its job: everything is told once, whatever fails on the way."""

import json
from datetime import timedelta

import dagster as dg
import pytest

from mlops_assets.records.alerts import AlertLedger
from mlops_assets.records.typed import store_of
from mlops_assets.sensors.alerts.sensor import JOB, MOST_PER_RUN
from support.alerts_world import NOW, UI, AlertsWorld
from support.ledger_rows import put_value
from support.webhook import SECRET


def test_a_rejected_batch_is_told_once_however_many_ticks_come(world):
    world.reject("2012-03")
    for _ in range(10):
        world.tell()
    (body,) = world.webhook.received
    assert body["title"] == "[bikes] batch rejected: 2012-03"
    assert body["message"] == f"no rows\nmodel: bikes\nowner: team:mobility\n{UI}/runs/run"


def test_a_batch_that_is_replaced_and_rejected_again_is_told_again(world):
    world.reject("2012-03", mark="m1")
    world.tell()
    world.reject("2012-03", mark="m2")
    world.tell()
    world.tell()
    assert len(world.webhook.received) == 2


def test_a_sensor_that_lost_its_cursor_tells_nothing_twice(world):
    world.reject("2012-03")
    world.tell()
    world.cursor = None
    assert world.alarms() == []


def test_many_of_one_kind_are_one_alert_and_none_is_left_untold(world):
    for number in range(50):
        world.reject(f"day-{number:02}")
    world.reject("one", model="rides")
    world.tell()
    assert world.webhook.titles == ["[bikes] batch rejected: 50 at once", "[rides] batch rejected: one"]
    assert "day-49: no rows" in world.webhook.received[0]["message"]
    assert "owner: no owner declared" in world.webhook.received[1]["message"]
    assert world.alarms() == []
    assert len(AlertLedger(world.storage, "bikes").sent()) == 51
    world.reject("day-50")
    assert world.alarms() == [("batch rejected", "day-50")]


def test_a_run_sends_a_bounded_number_and_the_next_the_rest(world):
    for number in range(5):
        for model in ("bikes", "rides"):
            world.judge(number, "waiting for approval", model=model)
            world.reject(f"b{number}", model=model)
    world.check(False, "the alias names version 7, decided was 4")
    (request,) = world.tick().run_requests
    assert len(request.run_config["ops"]["send_alerts"]["config"]["alerts"]) == MOST_PER_RUN == 20
    assert world.run(request).success
    world.tell()
    assert len(world.webhook.titles) == len(set(world.webhook.titles)) == 21


def test_a_server_that_is_down_fails_the_run_and_gets_each_alert_once_when_it_is_back(world):
    world.reject("2012-03")
    world.webhook.stop()
    (first,) = world.tick().run_requests
    failed = world.run(first)
    assert not failed.success
    assert len([event for event in failed.all_events if event.event_type_value == "STEP_RESTARTED"]) == 3
    (step,) = [event for event in failed.all_events if event.is_step_failure]
    said = step.step_failure_data.error.cause.message
    assert "1 of 1 alerts were not sent. [bikes] batch rejected: 2012-03 was not sent to 1 of 1 services" in said
    assert "json://127.0.0.1: no answer" in said
    world.webhook.start()
    (again,) = world.tick().run_requests
    assert again.run_key != first.run_key
    assert world.run(again).success
    assert world.run(again).success  # repeated by hand: it was sent
    assert world.webhook.titles == ["[bikes] batch rejected: 2012-03"]
    assert world.tick().run_requests == []
    assert json.loads(world.cursor) == {}


def test_what_could_not_be_sent_waits_before_it_is_tried_again_and_holds_up_no_other(world, tmp_path):
    patient = AlertsWorld(tmp_path, world.instance, world.webhook, retry_seconds=300.0)
    world.reject("2012-03")
    assert patient.alarms() == [("batch rejected", "2012-03")]
    assert patient.alarms() == []  # asked for just now; nothing says that it was sent
    world.reject("2012-04")
    assert patient.alarms() == [("batch rejected", "2012-04")]
    long_ago = (NOW - timedelta(hours=7)).isoformat()
    patient.cursor = json.dumps({key: [number, long_ago] for key, (number, _) in json.loads(patient.cursor).items()})
    assert [subject for _, subject in patient.alarms()] == ["2012-03", "2012-04"]


def test_one_alert_that_is_refused_stops_no_other_and_is_named(world):
    world.webhook.refused_title = "2012-03"
    for batch in ("2012-03", "2012-04"):
        world.reject(batch)
    (request,) = world.tick().run_requests
    failed = world.run(request)
    (step,) = [event for event in failed.all_events if event.is_step_failure]
    said = step.step_failure_data.error.cause.message
    assert "1 of 1 alerts were not sent. [bikes] batch rejected: 2012-03 was not sent" in said
    assert world.webhook.titles == ["[bikes] batch rejected: 2012-04"]
    assert world.alarms() == [("batch rejected", "2012-03")]


def test_a_model_whose_records_cannot_be_read_holds_up_no_other(world):
    world.reject("2012-03", model="rides")
    put_value(world.storage, "bikes", "alerts", "x", {})
    world.tell()
    assert sorted(world.webhook.titles) == [
        "[bikes] record cannot be read: alerts/x",
        "[rides] batch rejected: 2012-03",
    ]


def test_while_a_run_is_under_way_none_is_requested(world):
    world.reject("2012-03")
    run = dg.DagsterRun(job_name=JOB, status=dg.DagsterRunStatus.STARTED)
    world.instance.add_run(run)
    assert world.tick().skip_message == "a run that sends alerts is under way"
    world.instance.run_storage.delete_run(run.run_id)
    assert world.alarms() == [("batch rejected", "2012-03")]


def test_without_a_url_the_sensor_says_what_to_set_and_marks_nothing_as_told(world, monkeypatch, webhook):
    world.reject("2012-03")
    monkeypatch.delenv("MLOPS_ASSETS_ALERTS")
    result = world.tick()
    assert result.run_requests == []
    assert result.skip_message.startswith("no alerts are sent: set MLOPS_ASSETS_ALERTS to one or more Apprise URLs")
    assert AlertLedger(world.storage, "bikes").sent() == set()
    monkeypatch.setenv("MLOPS_ASSETS_ALERTS", webhook.url)
    world.tell()
    assert world.webhook.titles == ["[bikes] batch rejected: 2012-03"]


@pytest.mark.promise(7)
@pytest.mark.fault(64)
@pytest.mark.parametrize("status", [200, 500])
def test_no_secret_of_a_url_is_in_a_request_a_run_or_its_events(status, world):
    world.reject("2012-03")
    world.webhook.status = status
    (request,) = world.tick().run_requests
    result = world.run(request)
    assert result.success == (status == 200)
    events = world.instance.all_logs(result.run_id)
    run = world.instance.get_run_by_id(result.run_id)
    assert len(events) > 5
    assert SECRET not in "".join(map(repr, [request, run, world.cursor, *events]))
    assert SECRET not in json.dumps([row.value for row in store_of(world.storage).since("alerts", {"bikes": 0})])


def test_a_new_alert_does_not_wait_for_many_that_could_not_be_sent(world, tmp_path):
    patient = AlertsWorld(tmp_path, world.instance, world.webhook, retry_seconds=300.0)
    for number in range(7):
        world.reject(f"day-{number}")
    assert patient.alarms() == [("batch rejected", "7 at once")]
    world.reject("day-7")
    assert patient.alarms() == [("batch rejected", "day-7")]
    assert patient.alarms() == []
