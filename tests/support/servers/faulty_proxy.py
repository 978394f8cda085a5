"""An HTTP proxy before a real server that answers some requests with an error, late, or not at all."""

import contextlib
import http.client
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, BinaryIO

LOST = 0
"""The status of an answer that the server gave and that never arrives."""
_BY_PROXY = ("transfer-encoding", "content-length", "connection")


@dataclass
class Fault:
    """What becomes of requests whose method and path match: `status`, `headers`, `content` in place of the answer.

    `times`: how many requests of each path are met by it. `late`: seconds that the answer takes after the server has
    done what it was asked.
    """

    wanted: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes = b'{"error_code": "INTERNAL_ERROR"}'
    late: float = 0.0
    times: float = 1
    met: dict[str, int] = field(default_factory=dict)

    def meets(self, request: str) -> bool:
        """Whether this request is met by it; counted."""
        if not re.search(self.wanted, request) or self.met.get(request, 0) >= self.times:
            return False
        self.met[request] = self.met.get(request, 0) + 1
        return True


@dataclass
class Unseen(Fault):
    """A store that loses read-after-write: what was just written is not there for `seconds`."""

    wanted: str = ""
    status: int | None = 404
    content: bytes = b""
    seconds: float = 1.0
    written: dict[str, float] = field(default_factory=dict)

    def meets(self, request: str) -> bool:
        """Whether it asks for what was written a moment ago."""
        method, _, path = request.partition(" ")
        if method == "PUT":
            self.written[path] = time.monotonic()
        fresh = time.monotonic() - self.written.get(path, float("-inf")) < self.seconds
        return method in ("GET", "HEAD") and fresh


class FaultyProxy:
    """Passes everything on to a port of this machine, but for the faults it was given; counts what it was asked."""

    def __init__(self, to_port: int) -> None:
        self.to_port, self.faults, self.asked = to_port, list[Fault](), list[str]()
        self.conditions: list[str] = []
        """The conditional headers that requests had."""
        self._released = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def break_with(self, *faults: Fault) -> None:
        """From now on these faults and no others; none makes it whole. Late answers are given at once."""
        self._released.set()
        self._released = threading.Event()
        self.faults, self.asked = list(faults), []

    def stop(self) -> None:
        """Close the port."""
        self.break_with()
        self._server.shutdown()
        self._server.server_close()

    def count(self, wanted: str) -> int:
        """How many requests came whose method and path match."""
        return sum(bool(re.search(wanted, request)) for request in self.asked)

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                body = _body(self.headers, self.rfile)
                request = f"{self.command} {self.path.partition('?')[0]}"
                proxy.asked.append(request)
                proxy.conditions += [name for name in self.headers if name.lower().startswith("if-")]
                released = proxy._released
                fault = next((each for each in proxy.faults if each.meets(request)), None)
                if fault is not None and fault.status:
                    return self._answer(fault.status, fault.headers, fault.content)
                try:
                    answer = proxy._passed_on(self.command, self.path, dict(self.headers), body)
                except OSError:  # the server is away, and so is this
                    self.close_connection = True
                    return None
                if fault is not None and fault.late:
                    released.wait(fault.late)
                if fault is not None and fault.status == LOST:
                    self.close_connection = True
                    return None
                return self._answer(*answer)

            def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
                length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(content))
                with contextlib.suppress(OSError):  # a client does not wait for ever
                    self.send_response(status)
                    for name, value in headers.items():
                        if name.lower() not in _BY_PROXY:
                            self.send_header(name, value)
                    self.send_header("Content-Length", length)
                    self.end_headers()
                    self.wfile.write(b"" if self.command == "HEAD" else content)

            def log_message(self, *_: Any) -> None: ...

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle

        return Handler

    def _passed_on(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        server = http.client.HTTPConnection("127.0.0.1", self.to_port, timeout=60)
        kept = {name: value for name, value in headers.items() if name.lower() not in _BY_PROXY}
        server.request(method, path, body, kept)
        answer = server.getresponse()
        content = answer.read()
        server.close()
        return answer.status, dict(answer.getheaders()), content


def _body(headers: Message, sent: BinaryIO) -> bytes:
    """What was sent with a request; in chunks, if Amazon's client so chooses."""
    if headers.get("Transfer-Encoding", "") != "chunked":
        return sent.read(int(headers.get("Content-Length") or 0))
    chunks = []
    while size := int(sent.readline().partition(b";")[0], 16):
        chunks.append(sent.read(size))
        sent.readline()
    while sent.readline().strip():
        pass
    return b"".join(chunks)


@contextmanager
def before(to_port: int, *faults: Fault) -> Iterator[FaultyProxy]:
    """Put a proxy before a server until the context ends."""
    proxy = FaultyProxy(to_port)
    proxy.break_with(*faults)
    try:
        yield proxy
    finally:
        proxy.stop()
