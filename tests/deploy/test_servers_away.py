"""A server that is stopped, or accepts connections and never answers: a clear end, the champion stays, and the same
work is done once the server is back. So it is where a server answers with errors, late, or not to all, or is full."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
import requests
from pyarrow import fs

from support.servers.faulty_proxy import LOST, Fault, FaultyProxy, Unseen, before
from support.servers.hosts import Host, Result
from support.servers.mlflow import PASSWORD, USER
from support.servers.process import Process
from support.servers.world import World, assert_whole, world_of_servers

pytestmark = pytest.mark.slow
TAKEN_FROM = {
    "records": (lambda host, batch: host.batch(batch), "the database of records", "records"),
    "s3": (lambda host, batch: host.batch(batch), "s3://mlops", "storage"),
    "mlflow": (lambda host, batch: host.train(alpha=1.0), "MLflow at http", "MLflow"),
}
"""What needs a server, what the error says of it, and the finding of `doctor` about it."""
ADDRESSES = {"s3": "AWS_ENDPOINT_URL_S3", "mlflow": "MLFLOW_TRACKING_URI"}
MAKES = r"^POST .*/(runs|registered-models|model-versions)/(create|alias)$"
EVER = {"times": math.inf}
FULL = {
    "507": (b"<Error><Code>InsufficientStorage</Code><Message>no room</Message></Error>", "has no room left"),
    "503": (b"<Error><Code>SlowDown</Code><Message>too busy</Message></Error>", "asks for fewer requests"),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of_servers(tmp_path_factory.mktemp("away")) as started:
        yield started


@pytest.fixture(scope="module")
def hosts(world: World) -> tuple[Host, Host]:
    """Two hosts, and a champion of three batches."""
    one, other = world.hosts("rentals")
    for host in (one, other):
        host.environment["MLOPS_ASSETS_ALERTS"] = "json://127.0.0.1:9/nobody"
    for number in (1, 2):
        assert one.batch(world.land("rentals", number))["success"]
    assert one.train(alpha=100.0)["success"]
    return one, other


@contextmanager
def faulty(world: World, name: str, hosts: tuple[Host, Host], *faults: Fault) -> Iterator[FaultyProxy]:
    """Let both hosts reach a server through a proxy with these faults."""
    variable, port = ADDRESSES[name], getattr(world, name).port
    with before(port, *faults) as proxy:
        for host in hosts:
            host.environment[variable] = proxy.url
        try:
            yield proxy
        finally:
            for host in hosts:
                host.environment[variable] = world.servers[variable]


def assert_all_return(ticks: dict[str, Result]) -> None:
    """Each sensor returns long before Dagster ends its tick after 60 s."""
    assert set(ticks) == {"new_data", "retraining", "registry_watch", "alerts"}
    assert {name: tick["seconds"] for name, tick in ticks.items() if tick["seconds"] >= 15} == {}


def stored(world: World) -> set[str]:
    """The files of the model in the storage."""
    below = fs.FileSelector("mlops/storage/rentals", recursive=True)
    return {file.path for file in world.files.get_file_info(below) if file.is_file}


def mlflow_runs(world: World) -> list[dict[str, str]]:
    """The state and the Dagster run of each of MLflow's runs of the model."""
    login, api = (USER, PASSWORD), f"{world.servers['MLFLOW_TRACKING_URI']}/api/2.0/mlflow"
    name = {"experiment_name": "rentals"}
    experiment = requests.get(f"{api}/experiments/get-by-name", params=name, auth=login).json()["experiment"]
    wanted = {"experiment_ids": [experiment["experiment_id"]], "max_results": 1_000}
    runs = requests.post(f"{api}/runs/search", json=wanted, auth=login).json()["runs"]
    tags = [{tag["key"]: tag["value"] for tag in run["data"]["tags"]} for run in runs]
    return [
        {"status": run["info"]["status"], "dagster": of["dagster_run_id"]}
        for run, of in zip(runs, tags, strict=True)
        if "dagster_run_id" in of
    ]


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
        assert_all_return(hosts[1].sense())
        found = hosts[1].doctor()
    finally:
        back()
    assert not failed["success"] and reason in failed["why"], failed
    assert found[finding]["severity"] == "fault", found[finding]

    if fault == "pause":
        ticks = [hosts[1].sense() for _ in range(2)]  # a batch is asked for if two looks find it the same
        assert batch in [request["batch"] for tick in ticks for request in tick["new_data"]["requests"]]
    assert hosts[1].state()["champion"] == before
    assert hosts[1].batch(batch)["success"]
    if name == "mlflow":
        assert work(hosts[1], batch)["success"]
    assert assert_whole(*hosts)["batches"][batch] == "accepted"


@pytest.mark.fault(31, 32)
def test_mlflow_fails_at_each_creation_then_loses_an_answer_and_one_run_and_version_are_made(
    world: World, hosts: tuple[Host, Host]
) -> None:
    assert hosts[0].batch(world.land("rentals", 20))["success"]
    with faulty(world, "mlflow", hosts, Fault(MAKES, 500), Fault(MAKES, LOST)) as proxy:
        trained = hosts[0].train(alpha=0.5)
        asked = Counter(proxy.asked)
    assert trained["success"], trained
    made = {request: count for request, count in asked.items() if re.search(MAKES, request)}
    assert len(made) >= 2 and max(made.values()) <= 3, asked
    assert [run["status"] for run in mlflow_runs(world) if run["dagster"] == trained["run"]] == ["FINISHED"]
    assert assert_whole(*hosts)["trainings"][-1][1] == "judged"


@pytest.mark.fault(31)
@pytest.mark.parametrize(
    ("fault", "finding", "severity"),
    [
        (Fault(".*", 500, **EVER), "MLflow", "fault"),
        (Fault(".*", 429, {"Retry-After": "3600"}, **EVER), "MLflow", "fault"),
        (Fault(".*", late=2.0, **EVER), "MLflow's answers", "advice"),
    ],
    ids=["500", "429", "slow"],
)
def test_mlflow_answers_with_errors_or_late_and_every_sensor_returns(
    fault: Fault, finding: str, severity: str, world: World, hosts: tuple[Host, Host]
) -> None:
    with faulty(world, "mlflow", hosts, fault):
        assert_all_return(hosts[0].sense())
        found = hosts[1].doctor()[finding]
    assert found["severity"] == severity and str(fault.status or "took 2.") in found["found"], found


@pytest.mark.fault(32)
def test_the_store_loses_its_answer_to_each_write_and_what_it_holds_is_found(
    world: World, hosts: tuple[Host, Host]
) -> None:
    with faulty(world, "s3", hosts, Fault("^PUT .*/storage/", LOST)) as proxy:
        done = hosts[0].batch(world.land("rentals", 21))
        assert proxy.count("^PUT .*/storage/") > len(proxy.faults[0].met) > 0
        assert proxy.conditions == []
    assert done["success"], done
    assert assert_whole(*hosts)["batches"]["b21"] == "accepted"


@pytest.mark.fault(33)
@pytest.mark.parametrize("status", FULL)
def test_a_full_store_fails_the_batch_leaves_nothing_and_the_next_run_makes_it(
    status: str, world: World, hosts: tuple[Host, Host]
) -> None:
    content, reason = FULL[status]
    batch, files = world.land("rentals", {"507": 22, "503": 23}[status]), stored(world)
    with faulty(world, "s3", hosts, Fault("^PUT .*/storage/", int(status), content=content, **EVER)):
        failed = hosts[0].batch(batch)
        found = hosts[1].doctor()["storage"]
    assert reason in failed["why"] and (found["severity"], reason in found["found"]) == ("fault", True), (failed, found)
    assert stored(world) == files
    assert hosts[1].batch(batch)["success"]
    assert assert_whole(*hosts)["batches"][batch] == "accepted"


@pytest.mark.fault(33)
def test_a_database_of_records_that_refuses_writes_is_named_and_the_next_run_makes_the_batch(
    world: World, hosts: tuple[Host, Host]
) -> None:
    batch = world.land("rentals", 24)
    with psycopg.connect(world.records.url(), autocommit=True) as server:  # as a service does whose disk is full
        server.execute("ALTER DATABASE mlops_assets SET default_transaction_read_only = on")
        try:
            failed, found = hosts[0].batch(batch), hosts[1].doctor()["records"]
        finally:
            server.execute("ALTER DATABASE mlops_assets RESET default_transaction_read_only")
    for said in (failed["why"], found["found"]):
        assert "read-only transaction" in said, (failed, found)
    assert found["severity"] == "fault" and batch not in hosts[1].state()["batches"]
    assert hosts[1].batch(batch)["success"]
    assert assert_whole(*hosts)["batches"][batch] == "accepted"


@pytest.mark.fault(33)
def test_a_full_disk_of_the_host_fails_batch_and_training_and_another_host_does_both(
    world: World, hosts: tuple[Host, Host]
) -> None:
    batch, files = world.land("rentals", 25), stored(world)
    hosts[0].largest_file = 1_000
    try:
        failed = hosts[0].batch(batch)
        training = hosts[0].train(alpha=0.3)
    finally:
        hosts[0].largest_file = -1
    assert "(File too large). Make room there, or set the environment variable TMPDIR" in failed["why"], failed
    assert not training["success"] and "File too large" in training["why"], training
    assert stored(world) == files
    assert hosts[1].batch(batch)["success"] and hosts[1].train(alpha=0.3)["success"]
    assert assert_whole(*hosts)["batches"][batch] == "accepted"


@pytest.mark.fault(32)
def test_a_store_that_forgets_what_was_just_written_is_named_and_loses_no_batch(
    world: World, hosts: tuple[Host, Host]
) -> None:
    batch = world.land("rentals", 26)
    with faulty(world, "s3", hosts, Unseen()) as proxy:
        found = hosts[1].doctor()["storage"]
        hosts[0].batch(batch)
        assert proxy.conditions == []
    assert found["severity"] == "fault" and "is not there when it is read" in found["found"], found
    assert hosts[1].batch(batch)["success"]
    assert assert_whole(*hosts)["batches"][batch] == "accepted"
