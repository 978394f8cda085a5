"""Servers that other machines reach without a password: found by what listens, whoever started it."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops_assets.cli.doctor.exposure import exposure, open_listeners
from mlops_assets.cli.doctor.findings import Finding
from support.lived import HERE, Lived
from support.relay import free_port

SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

host, port, status, answers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
ANSWERS = {
    "mlflow": {"/version": "3.17.2", "/health": "OK"},
    "dagster": {"/server_info": '{"dagster_webserver_version": "1.13.27"}'},
    "nothing": {},
}[answers]

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        text = ANSWERS.get(self.path)
        self.send_response(status if text or status != 200 else 404)
        self.end_headers()
        self.wfile.write((text or "").encode())
    def log_message(self, *_):
        pass

HTTPServer((host, port), Handler).serve_forever()
"""
Start = Callable[..., int]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server of a name on a host; gives its port."""
    started = []

    def begin(name: str, host: str = "0.0.0.0", status: int = 200, answers: str = "nothing") -> int:
        script = tmp_path / name
        script.write_text(SERVER)
        port = free_port()
        started.append(subprocess.Popen([sys.executable, script, host, str(port), str(status), answers]))
        _wait(port)
        return port

    yield begin
    for server in started:
        server.kill()
        server.wait()


def _wait(port: int, log: Path | None = None) -> None:
    for _ in range(1_200):
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError(f"nothing listens on {port}: {log.read_text() if log else ''}")


def on(port: int, expected: tuple[int, ...] = ()) -> list[Finding]:
    """What is found of one port: other servers of this machine are not this test's."""
    return [each for each in exposure(expected) if f"port {port} " in each.found]


@pytest.mark.fault(70)
@pytest.mark.parametrize(("name", "server"), [("mlflow", "MLflow"), ("dagster-webserver", "Dagster")])
def test_a_server_of_ours_on_all_addresses_is_a_fault(start: Start, name: str, server: str):
    port = start(name)
    [told] = on(port)
    assert (told.name, told.severity) == (f"{server} reachable", "fault")
    assert told.found == f"listens on 0.0.0.0 port {port} without a password"
    assert "127.0.0.1" in told.mend and told.why.startswith("Whoever reaches it")


def test_the_command_tells_of_it(start: Start, lived: Lived):
    port = start("mlflow")
    said = lived.run("doctor", "--json")
    named = [each["name"] for each in json.loads(said.out)["findings"] if f"port {port} " in each["found"]]
    assert said.code == 1 and named == ["MLflow reachable"]


def test_loopback_is_no_finding(start: Start):
    port = start("mlflow", host="127.0.0.1")
    assert on(port, (port,)) == [] and port not in {each.port for each in open_listeners()}


def test_a_server_that_asks_who_somebody_is_is_no_finding(start: Start):
    assert on(start("mlflow", status=401)) == on(start("dagster-webserver", status=403)) == []


def test_a_server_whose_command_line_tells_nothing_is_found_where_it_is_expected(start: Start):
    port, other = start("a", answers="mlflow"), start("b", answers="dagster")
    assert [each.name for each in on(port, (port,))] == ["MLflow reachable"]
    assert [each.name for each in on(other, (other,))] == ["Dagster reachable"]
    assert on(port) == on(other) == []


def test_what_is_not_ours_is_no_finding(start: Start):
    port = start("some_server")
    assert on(port, (port,)) == [] and port in {each.port for each in open_listeners()}


@pytest.mark.fault(70)
@pytest.mark.slow
def test_the_real_servers_are_found_on_all_addresses_and_not_on_loopback(lived: Lived, tmp_path: Path):
    binaries, store = Path(sys.executable).parent, f"sqlite:///{lived.home / 'mlflow.db'}"
    for host, found in (("0.0.0.0", 1), ("127.0.0.1", 0)):
        ports = free_port(), free_port()
        commands = (
            f"{binaries}/mlflow server --host {host} --port {ports[0]} --workers 1 --backend-store-uri {store}",
            f"{binaries}/dagster-webserver -h {host} -p {ports[1]} -f {HERE}/cli_location.py -d {HERE}",
        )
        with (tmp_path / "log").open("wb") as log:
            no_jobs = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight processes for what nothing here uses
            options = {"stdout": log, "stderr": log, "env": os.environ | no_jobs, "start_new_session": True}
            servers = [subprocess.Popen(command.split(), **options) for command in commands]
            try:
                for port in ports:
                    _wait(port, tmp_path / "log")
                named = [{each.name for each in on(port)} for port in ports]
                assert named == ([{"MLflow reachable"}, {"Dagster reachable"}] if found else [set(), set()])
            finally:
                for server in servers:
                    os.killpg(server.pid, 15)
                    server.wait()
