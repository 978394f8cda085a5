"""`new_data` while MLflow is down: new data are taken in, what needs MLflow waits and is asked for later."""

import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_server, socket

import dagster as dg
import pytest

from mlops_assets.resources.mlflow.registry import MlflowRegistry
from support.ledger_rows import put_value
from support.ticking import keys, two_folders, write


@pytest.fixture
def ticks(tmp_path):
    with dg.instance_for_test() as instance:
        yield two_folders(tmp_path, instance)


def closed_port():
    with closing(socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def unscored(ticks, model, batch):
    """An accepted batch of a run that failed for want of the registry."""
    marks = ticks.taken_in(batch, model=model)
    for kind in ("predictions", "drift", "performance"):
        put_value(ticks.storage, model, f"reports/{kind}", batch, None)
    return marks


@pytest.mark.promise(8)
@pytest.mark.fault(29)
@pytest.mark.parametrize("down", ["closed port", pytest.param("black hole", marks=pytest.mark.slow)])
def test_while_mlflow_is_down_new_data_are_taken_in_and_what_needs_it_waits(ticks, capfd, down):
    unscored(ticks, "bikes", "a")
    hole = create_server(("127.0.0.1", 0))  # connections are taken by the kernel and never answered
    port = closed_port() if down == "closed port" else hole.getsockname()[1]
    ticks.registry = MlflowRegistry(tracking_uri=f"http://127.0.0.1:{port}")
    with hole:
        ticks.tick()
        for number in range(2):
            write(ticks.root / "cars", f"new-{number}.csv")
            write(ticks.root / "bikes", f"new-{number}.csv", rows=8)
            ticks.tick()
            result = ticks.tick()
            ticks.take_in(result)
            assert keys(result) == [f"new-{number}", f"new-{number}"]
    assert "MLflow does not answer: 1 batch waits" in capfd.readouterr().err


class Empty(BaseHTTPRequestHandler):
    """A registry without any model, as MLflow's server would say it."""

    def do_GET(self):
        found = b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not there"}'
        listing = "search" in self.path
        self._answer(200 if listing else 404, b"{}" if listing else found)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200, b"{}")

    def _answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.promise(8)
@pytest.mark.fault(29)
def test_once_mlflow_is_back_what_waited_is_asked_for(ticks):
    unscored(ticks, "bikes", "a")
    ticks.registry = MlflowRegistry(tracking_uri=f"http://127.0.0.1:{closed_port()}")
    assert keys(ticks.tick()) == []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ticks.registry = MlflowRegistry(tracking_uri=f"http://127.0.0.1:{server.server_address[1]}")
    assert keys(ticks.tick()) == ["a"]
    server.shutdown()
    server.server_close()
