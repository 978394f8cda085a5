"""A port of this machine that counts who connects to it."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Listener:
    """Its port, and how many connections were made."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.hits = int(self._socket.getsockname()[1]), 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed by `listening`
            while True:
                near, _ = self._socket.accept()
                self.hits += 1
                near.close()

    def stop(self) -> None:
        """Close the port."""
        self._socket.close()


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener for the time of the block."""
    listener = Listener()
    yield listener
    listener.stop()
