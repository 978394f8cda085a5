"""A TCP relay before a server, which a test can let refuse connections or swallow them."""

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Literal


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


Mode = Literal["pass", "refuse", "swallow"]


class Relay:
    """Listens on a port of its own. `refuse` closes the port; `swallow` accepts and never answers."""

    def __init__(self, to_port: int) -> None:
        self.to_port = to_port
        self._mode: Mode = "refuse"
        self._listener: socket.socket | None = None
        self._open: list[socket.socket] = []
        self.port = free_port()

    def set(self, mode: Mode) -> None:
        """What becomes of connections from now on; open ones are cut."""
        self._mode = mode
        for end in self._open:
            end.close()
        self._open.clear()
        if mode == "refuse":
            if self._listener is not None:
                with contextlib.suppress(OSError):
                    self._listener.shutdown(socket.SHUT_RDWR)
                self._listener.close()
                self._listener = None
        elif self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed by `set`
            while True:
                near, _ = listener.accept()
                self._open.append(near)
                if self._mode == "pass":
                    self._join(near)

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self.to_port))
        except OSError:  # the server is not there: the connection ends as it would without the relay
            near.close()
            return
        self._open.append(far)
        for end in (near, far):  # a part is passed on at once, as without the relay
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for one, other, seen in ((near, far, self.passed), (far, near, None)):
            threading.Thread(target=_copy, args=(one, other, seen), daemon=True).start()

    def passed(self, part: bytes) -> None:
        """See a part of what a client sends; a subclass may count it."""


def _copy(source: socket.socket, target: socket.socket, seen: Callable[[bytes], None] | None) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            if seen is not None:
                seen(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
