"""What the tests of sensors share: a server that is told, models whose alarms it is told, ticks of `retraining`."""

import dagster as dg
import pytest

from support.alerts_world import AlertsWorld
from support.retraining_ticks import Ticks
from support.webhook import Webhook


@pytest.fixture
def webhook(monkeypatch):
    server = Webhook()
    monkeypatch.setenv("MLOPS_ASSETS_ALERTS", server.url)
    yield server
    server.stop()


@pytest.fixture
def world(tmp_path, webhook):
    with dg.instance_for_test() as instance:
        yield AlertsWorld(tmp_path, instance, webhook)


@pytest.fixture
def ticks(tmp_path):
    with dg.instance_for_test() as instance:
        yield Ticks(tmp_path, instance)
