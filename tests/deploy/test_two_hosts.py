"""Two hosts with empty disks share PostgreSQL, MLflow with a login and S3: what one begins, the other carries on."""

import re
from collections.abc import Callable, Iterator

import pytest

from support.servers.hosts import Host
from support.servers.world import World, assert_whole, world_of_servers
from support.webhook import Webhook

pytestmark = [pytest.mark.slow, pytest.mark.promise(3)]
KILLED = {"registered": 1e4, "before the alias": 1e3, "after the alias": 0.1}
"""Points of a training at which it is killed, and the parameter by which it is better than the one before."""
ADA = {"by": "ada", "reason": "drill"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of_servers(tmp_path_factory.mktemp("hosts")) as started:
        yield started


@pytest.fixture
def dead_runs(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    return lambda: world.end_dead_runs(monkeypatch)


def test_batches(world: World, dead_runs: Callable[[], None]) -> None:
    one, other = world.hosts("batches", expectations="expectations.yaml")
    for number, (point, dies, goes_on) in enumerate(
        [("frame written", one, other), ("batch on record", other, one)], start=1
    ):
        batch = world.land("batches", number)
        assert dies.batch(batch, die_at=point) == {"killed": True}
        dead_runs()
        assert goes_on.batch(batch)["success"]
    assert one.state()["batches"] == {"b1": "accepted", "b2": "accepted"}
    assert one.batch(world.land("batches", 3))["success"]  # from now on there is a suite, inferred from all three

    unlike = other.batch(world.land("batches", 4, y=1e6))
    assert "does not hold: y" in unlike["failed"]["suite_in_force"], unlike
    written = []
    for host in (one, other):
        said = host.command("suite", "export", "batches")
        assert said["code"] == 0, said
        written.append(host.take("expectations.yaml"))
    assert written[0] == written[1] and "expect_column" in written[0]
    assert_whole(one, other)


def test_trainings_and_promotions(world: World, dead_runs: Callable[[], None]) -> None:
    one, other = world.hosts("trainings")
    hosts = [one, other]
    assert one.batch(world.land("trainings", 1))["success"] and other.batch(world.land("trainings", 2))["success"]
    for number, (point, alpha) in enumerate(KILLED.items(), start=3):
        assert hosts[0].train(die_at=point, alpha=alpha) == {"killed": True}, point
        dead_runs()
        trained = hosts[1].train(alpha=alpha)
        assert trained["success"], trained
        assert hosts[0].batch(world.land("trainings", number))["success"]
        hosts.reverse()
    seen = assert_whole(one, other)
    assert [status for _, status in seen["trainings"]] == ["judged"] * len(seen["trainings"])
    assert seen["champion"] is not None and set(seen["drift"]) >= {"b3", "b4", "b5"}


def test_rollback_drift_alerts_and_reproduction(world: World, dead_runs: Callable[[], None]) -> None:
    one, other = world.hosts("rollbacks")
    for number in (1, 2):
        assert one.batch(world.land("rollbacks", number))["success"]
    assert one.train(alpha=1e4)["success"]
    assert other.batch(world.land("rollbacks", 3))["success"]
    assert other.train(alpha=0.1)["success"]
    assert one.state()["champion"] == 2

    for point, version, dies, goes_on in (("before the alias", 1, one, other), ("after the alias", 2, other, one)):
        assert dies.champion(action="rollback", version=version, die_at=point, **ADA) == {"killed": True}
        dead_runs()
        back = goes_on.champion(action="rollback", version=version, **ADA)
        assert back["success"], back
        assert goes_on.state()["champion"] == version

    drifted = world.land("rollbacks", 4, x=50.0)
    assert one.batch(drifted, die_at="before drift") == {"killed": True}
    dead_runs()
    assert other.batch(drifted)["success"]
    assert one.state()["drift"]["b4"] == "drift"
    assert one.batch(world.land("rollbacks", 5, x=50.0))["success"]  # by which the drift is confirmed
    assert_each_alert_is_sent_once(one, other)

    assert one.command("reproduce", "rollbacks@2", die_at="refitted") == {"killed": True}
    again = [host.command("reproduce", "rollbacks@2") for host in (other, one)]
    assert [said["code"] for said in again] == [0, 0], again
    assert all(re.search(r"identical", said["out"]) for said in again), again
    assert_whole(one, other)


def assert_each_alert_is_sent_once(one: Host, other: Host) -> None:
    """Alerts of what failed on either host; a host asks for them, either sends them, nobody sends them again."""
    webhook = Webhook()
    for host in (one, other):
        host.environment["MLOPS_ASSETS_ALERTS"] = webhook.url
    try:
        tick = other.sense()["alerts"]
        assert one.send_alerts(tick)["success"] and other.send_alerts(tick)["success"]
        assert one.sense()["alerts"]["requests"] == []
    finally:
        webhook.stop()
    alarms = ["run failed: training run", "run failed: batch run of b4"]
    alarms += [f"{kind}: 2 of the newest 2 batches of champion version 2" for kind in ("drift", "decay")]
    assert len(webhook.titles) == len(alarms), webhook.titles
    for alarm in alarms:
        assert sum(title.startswith(f"[rollbacks] {alarm}") for title in webhook.titles) == 1, webhook.titles
