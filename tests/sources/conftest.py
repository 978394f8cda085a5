"""What the tests of sources share: each test of a database runs on SQLite and on PostgreSQL."""

import itertools
import socket
import threading

import pytest

from support.databases import postgres_database, sqlite_database
from support.postgres import postgres  # noqa: F401

_NUMBER = itertools.count()


@pytest.fixture
def on_sqlite(tmp_path):
    made = sqlite_database(tmp_path)
    yield made
    made.close()


@pytest.fixture
def on_postgres(postgres):  # noqa: F811
    made = postgres_database(postgres, f"test_{next(_NUMBER)}")
    yield made
    made.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request):
    return request.getfixturevalue(f"on_{request.param}")


@pytest.fixture
def black_hole():
    """An address that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        taken = []

        def take():
            try:
                while True:
                    taken.append(listener.accept()[0])
            except OSError:
                pass

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        for connection in taken:
            connection.close()
