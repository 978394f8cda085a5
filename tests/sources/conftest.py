"""What the tests of sources share: each test of a database runs on SQLite and on PostgreSQL."""

import itertools

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
