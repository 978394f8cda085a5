"""The resource `Alerts`, sending with Apprise itself to a real server."""

import logging
import subprocess
import sys
from dataclasses import replace

import dagster as dg
import pytest

from mlops_assets.errors import MlopsAssetsError
from mlops_assets.records.alerts import AlertLedger
from mlops_assets.resources.alerts import Alert, Alerts, DeliveryError, plain_text
from mlops_assets.resources.storage import Storage
from support.webhook import SECRET, Webhook

ALERT = Alert(
    kind="drift",
    model="bikes",
    subject="2 of the newest 3 batches",
    reason="2012-03: temperature drifted",
    link="assets/bikes/drift",
    key="bikes/drift/version 4",
    at="2026-01-01T00:00:00+00:00",
    owners=("team:mobility", "a@example.com"),
)


@pytest.fixture
def webhook():
    server = Webhook()
    yield server
    server.stop()


@pytest.fixture
def second():
    server = Webhook()
    yield server
    server.stop()


@pytest.fixture
def alerts_to(monkeypatch):
    def to(*urls, separator=" "):
        monkeypatch.setenv("MLOPS_ASSETS_ALERTS", separator.join(urls))
        return Alerts(ui_url="https://dagster.example.com/")

    return to


def test_what_is_delivered_names_model_owner_reason_and_link(webhook, alerts_to):
    assert alerts_to(webhook.url).send(ALERT) == ("1: json://127.0.0.1",)
    (body,) = webhook.received
    assert body["title"] == "[bikes] drift: 2 of the newest 3 batches"
    assert body["message"].split("\n") == [
        "2012-03: temperature drifted",
        "model: bikes",
        "owner: team:mobility, a@example.com",
        "https://dagster.example.com/assets/bikes/drift",
    ]
    assert body["type"] == "warning"


def test_a_model_without_owners_says_so():
    alert = replace(ALERT, subject="s", reason="r", owners=())
    assert "\nowner: no owner declared\n" in alert.body("http://ui")


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\n"])
def test_each_url_gets_the_alert(separator, webhook, second, alerts_to):
    alerts = alerts_to(webhook.url, second.url, separator=separator)
    assert alerts.services() == ["1: json://127.0.0.1", "2: json://127.0.0.1"]
    alerts.send(ALERT)
    assert (len(webhook.received), len(second.received)) == (1, 1)


def test_one_service_that_fails_is_named_and_stops_no_other_nor_is_another_told_twice(webhook, second, alerts_to):
    alerts = alerts_to(second.url, webhook.url)
    second.stop()
    with pytest.raises(DeliveryError, match=r"1 of 2 services: 1: json://127\.0\.0\.1: no answer") as problem:
        alerts.send(ALERT)
    assert problem.value.reached == ("2: json://127.0.0.1",)
    second.start()
    assert alerts.send(ALERT, problem.value.reached) == ("1: json://127.0.0.1", "2: json://127.0.0.1")
    assert (len(webhook.received), len(second.received)) == (1, 1)


@pytest.mark.promise(7)
@pytest.mark.fault(64)
@pytest.mark.parametrize(
    "url",
    [
        "json://127.0.0.1:9/{}",
        "json://user:{}@127.0.0.1:9/hook",
        "json://user:pa/{}@127.0.0.1:9",
        "tgram://{}/chat",
        "slack://{}/B/C/#channel",
        "nosuchservice://{}",
        "json://[{}/",
        "{}",
        "json://127.0.0.1:nonsense/{}",
    ],
)
def test_no_part_of_a_url_but_scheme_and_host_is_told(url, alerts_to, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    alerts = alerts_to(url.format(SECRET))
    with pytest.raises(DeliveryError) as problem:
        alerts.send(ALERT)
    captured = capfd.readouterr()
    said = "\n".join([str(problem.value), repr(alerts), caplog.text, captured.out, captured.err, *alerts.services()])
    assert SECRET not in said
    assert problem.value.__cause__ is None and problem.value.__context__ is None
    assert "1 of 1 services: 1: " in said


@pytest.mark.promise(7)
@pytest.mark.fault(64)
def test_a_delivery_leaves_no_url_in_any_log_and_logging_as_it_was(webhook, alerts_to, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    urllib3 = logging.getLogger("urllib3")
    before = (urllib3.level, urllib3.propagate)
    alerts_to(webhook.url).send(ALERT)
    captured = capfd.readouterr()
    assert SECRET not in caplog.text + captured.out + captured.err
    assert (urllib3.level, urllib3.propagate) == before


def test_dagster_shows_no_url_with_the_resource(webhook, alerts_to):
    from dagster._core.remote_representation.external_data import RepositorySnap
    from dagster._serdes import serialize_value

    defs = dg.Definitions(resources={"mlops_alerts": alerts_to(webhook.url)})
    shown = serialize_value(RepositorySnap.from_def(defs.get_repository_def()))
    assert "MLOPS_ASSETS_ALERTS" in shown
    assert SECRET not in shown


def test_without_a_url_nothing_is_sent_and_it_says_what_to_set(alerts_to):
    alerts = alerts_to("")
    assert alerts.services() == []
    with pytest.raises(MlopsAssetsError, match="set MLOPS_ASSETS_ALERTS to one or more Apprise URLs"):
        alerts.send(ALERT)


def test_without_apprise_it_says_what_to_install(webhook, alerts_to, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(MlopsAssetsError, match=r'pip install "mlops-assets\[alerts\]"'):
        alerts_to(webhook.url).send(ALERT)


def test_text_from_data_is_one_short_line_that_pages_nobody():
    assert plain_text("a\nb\x1b[31m\u202ec\x00", 80) == "a b [31m c"
    assert plain_text("x" * 200, 10) == "xxxxxxxxx…"
    assert plain_text("@everyone <!channel>", 80) == "@\u200beveryone <\u200b!channel>"


def test_the_ledger_says_who_was_told_what(tmp_path):
    ledger = AlertLedger(Storage(root=str(tmp_path)), "bikes")
    assert (ledger.is_sent(ALERT), ledger.reached(ALERT), ledger.sent()) == (False, (), set())
    ledger.put(ALERT, ("1: json://a",), complete=False)
    assert (ledger.is_sent(ALERT), ledger.reached(ALERT), ledger.sent()) == (False, ("1: json://a",), set())
    ledger.put(ALERT, ("1: json://a", "2: json://b"), complete=True)
    assert (ledger.is_sent(ALERT), ledger.sent()) == (True, {"bikes/drift/version 4"})


def test_importing_the_resource_and_the_sensor_imports_no_apprise():
    code = (
        "import sys, mlops_assets.resources.alerts, mlops_assets.sensors.alerts.sensor; print('apprise' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
