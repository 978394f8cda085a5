"""A server that is stopped, or accepts connections and never answers: a clear end, the champion stays, and the same
work is done once the server is back."""

from collections.abc import Callable, Iterator

import pytest

from support.servers.hosts import Host, Result
from support.servers.process import Process
from support.servers.world import World, assert_whole, world_of_servers

pytestmark = pytest.mark.slow
TAKEN_FROM = {
    "records": (lambda host, batch: host.batch(batch), "the database of records", "records"),
    "s3": (lambda host, batch: host.batch(batch), "s3://mlops", "storage"),
    "mlflow": (lambda host, batch: host.train(alpha=1.0), "MLflow at http", "MLflow"),
}
"""What needs a server, what the error says of it, and the finding of `doctor` about it."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of_servers(tmp_path_factory.mktemp("away")) as started:
        yield started


@pytest.fixture(scope="module")
def hosts(world: World) -> tuple[Host, Host]:
    """Two hosts, and a champion of three batches."""
    one, other = world.hosts("rentals")
    for number in (1, 2):
        assert one.batch(world.land("rentals", number))["success"]
    assert one.train(alpha=100.0)["success"]
    return one, other


@pytest.mark.parametrize(
    "fault",
    [pytest.param("stop", marks=pytest.mark.fault(29)), pytest.param("pause", marks=pytest.mark.fault(30))],
)
@pytest.mark.parametrize("name", TAKEN_FROM)
def test_work_ends_with_the_reason_and_is_done_once_the_server_is_back(
    name: str, fault: str, world: World, hosts: tuple[Host, Host]
) -> None:
    work, reason, finding = TAKEN_FROM[name]
    server: Process = getattr(world, name)
    number = 3 + 2 * list(TAKEN_FROM).index(name) + (fault == "pause")
    before, batch = hosts[0].state()["champion"], world.land("rentals", number)
    back: Callable[[], None] = server.start if fault == "stop" else server.resume
    getattr(server, fault)()
    try:
        failed: Result = work(hosts[0], batch)
        found = hosts[1].doctor()
    finally:
        back()
    assert not failed["success"] and reason in failed["why"], failed
    assert found[finding]["severity"] == "fault", found[finding]

    assert hosts[1].state()["champion"] == before
    assert hosts[1].batch(batch)["success"]
    assert work(hosts[1], batch)["success"]
    assert assert_whole(*hosts)["batches"][batch] == "accepted"
