"""The database of records: revisions, compare-and-swap, what changed since; the same on SQLite and on PostgreSQL."""

import json
import os
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mlops_assets.errors import RecordsError, StaleRecordError
from mlops_assets.records.migrate import NEWEST, VERSIONS
from mlops_assets.records.store import RecordStore, store_at
from mlops_assets.records.tables import TABLES
from support.postgres import Postgres

WRITER = Path(__file__).with_name("store_writer.py")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that nobody has written to."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'home' / 'records.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = f"records_{uuid.uuid4().hex[:12]}"
    admin = sa.create_engine(server.url().replace("postgresql", "postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    yield server.url(database=name)


@pytest.fixture
def store(url: str) -> RecordStore:
    return store_at(url)


def keys(store: RecordStore, model: str = "tides", kind: str = "batches", since: int = 0) -> list[tuple[str, int]]:
    return [(row.key, row.revision) for row in store.since(kind, {model: since})]


def test_reading_makes_nothing(store, url):
    assert store.get("tides", "batches", "may") is None
    assert (store.since("batches", {"tides": 0}), store.revisions(), store.schema()) == ([], {}, "")
    with store.at_once():
        assert store.revision("tides", "batches") == 0
    assert store.file is None or not store.file.parent.exists()


def test_each_write_has_a_revision_and_since_tells_what_is_newer(store):
    assert [store.put("tides", "batches", key, {"n": 1}) for key in ("may", "june", "july")] == [1, 2, 3]
    assert store.put("tides", "batches", "may", {"n": 2}) == 4
    assert store.put("tides", "trainings", "may", {"n": 1}) == 1
    assert store.put("cars", "batches", "may", {"n": 1}) == 1
    assert keys(store) == [("june", 2), ("july", 3), ("may", 4)]
    assert keys(store, since=3) == [("may", 4)]
    found = store.since("batches", {"tides": 2, "cars": 0, "unborn": 0})
    assert sorted((row.model, row.key) for row in found) == [("cars", "may"), ("tides", "july"), ("tides", "may")]
    assert store.revisions() == {("tides", "batches"): 4, ("tides", "trainings"): 1, ("cars", "batches"): 1}
    stored = store.get("tides", "batches", "may")
    assert (json.loads(stored.value), stored.format, stored.model, stored.kind) == ({"n": 2}, 1, "tides", "batches")


def test_the_same_value_once_more_is_not_a_new_revision(store):
    assert [store.put("tides", "batches", "may", {"n": 1}) for _ in range(3)] == [1, 1, 1]
    assert store.put("tides", "batches", "may", None) == 2
    assert store.get("tides", "batches", "may").value is None
    assert keys(store) == [("may", 2)]


def test_a_write_that_expects_another_revision_changes_nothing(store):
    store.put("tides", "batches", "may", {"n": 1}, expected=0)
    with pytest.raises(StaleRecordError, match=r"tides/batches/may has revision 1, and 0 was expected"):
        store.put("tides", "batches", "may", {"n": 2}, expected=0)
    assert store.put("tides", "batches", "may", {"n": 2}, expected=1) == 2
    with pytest.raises(StaleRecordError):
        store.put("tides", "batches", "june", {"n": 2}, expected=1)
    assert keys(store) == [("may", 2)] and store.revision("tides", "batches") == 2


def test_a_transaction_is_whole_or_nothing(store):
    store.put("tides", "batches", "may", {"n": 1})
    with pytest.raises(StaleRecordError), store.transaction() as transaction:
        transaction.writing("tides", "trainings").put("may", {"n": 1})
        transaction.writing("tides", "batches").put("may", {"n": 2}, expected=7)
    assert store.get("tides", "trainings", "may") is None
    assert store.revisions().get(("tides", "trainings"), 0) == 0
    with store.transaction() as transaction:
        transaction.writing("tides", "trainings").put("may", {"n": 1})
        batches = transaction.writing("tides", "batches")
        assert [json.loads(row.value)["n"] for row in batches.all()] == [1]
        batches.put("may", {"n": 2})
    assert (store.revision("tides", "trainings"), store.revision("tides", "batches")) == (1, 2)


def test_under_at_once_nothing_is_asked_for_that_did_not_change(store):
    for number in range(3):
        store.put("tides", "batches", str(number), {"n": number})
    statements: list[str] = []
    sa.event.listen(store._engine, "before_cursor_execute", lambda *of: statements.append(of[2]))
    with store.at_once():
        begun = len([each for each in statements if each.startswith("SELECT")])
        assert [store.revision("tides", kind) for kind in ("batches", "trainings", "holds")] == [3, 0, 0]
        assert len([each for each in statements if each.startswith("SELECT")]) == begun


@pytest.mark.parametrize("value", [frozenset(), {"n": object()}])
def test_what_is_not_json_is_refused(store, value):
    with pytest.raises(RecordsError, match="record tides/batches/may is not a plain JSON value"):
        store.put("tides", "batches", "may", value)
    assert store.revisions().get(("tides", "batches"), 0) == 0


def test_a_database_of_a_newer_release_is_left_as_it_is(store, url):
    store.put("tides", "batches", "may", {"n": 1})
    with store._engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSIONS} SET version_num = '9999'"))
    newer = RecordStore(url)
    for act in (lambda: newer.get("tides", "batches", "may"), lambda: newer.put("tides", "batches", "may", {"n": 2})):
        with pytest.raises(
            RecordsError, match=f"schema 9999, and this release of mlops_assets knows none after {NEWEST}"
        ):
            act()
    assert json.loads(store.get("tides", "batches", "may").value) == {"n": 1}


def test_the_newest_migration_makes_the_tables_that_the_code_reads(store):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    store.put("tides", "batches", "may", {"n": 1})
    with store._engine.connect() as connection:
        ours = lambda item, name, kind, *_: kind != "table" or name in TABLES.tables  # noqa: E731
        context = MigrationContext.configure(connection, opts={"include_object": ours, "version_table": VERSIONS})
        assert compare_metadata(context, TABLES) == []
    assert store.schema() == NEWEST


def test_many_processes_write_and_a_reader_of_what_is_new_misses_none(store, url):
    """The counter moves in the transaction that writes: an identity column lost 79 of 900 records here."""
    writers = [
        subprocess.Popen([sys.executable, str(WRITER), f"w{number}", "40"], env={**os.environ, "RECORDS": url})
        for number in range(4)
    ]
    seen, last = [], 0
    while any(writer.poll() is None for writer in writers) or keys(store, since=last):
        found = keys(store, since=last)
        seen += [key for key, _ in found]
        last = max((revision for _, revision in found), default=last)
    assert [writer.returncode for writer in writers] == [0] * 4
    assert sorted(seen) == sorted(f"w{number}-{count}" for number in range(4) for count in range(40))
    assert last == store.revision("tides", "batches") == 160


def test_a_file_that_a_backup_replaced_is_read_anew(tmp_path):
    store = store_at(f"sqlite:///{tmp_path / 'records.db'}")
    store.put("tides", "batches", "may", {"n": 1})
    with sqlite3.connect(tmp_path / "records.db") as now, sqlite3.connect(tmp_path / "backup.db") as backup:
        now.backup(backup)
    store.put("tides", "batches", "may", {"n": 2})
    for name in ("records.db-wal", "records.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    (tmp_path / "backup.db").rename(tmp_path / "records.db")
    assert json.loads(store.get("tides", "batches", "may").value) == {"n": 1}
    assert store.revision("tides", "batches") == 1


def test_a_database_that_cannot_be_used_is_named_with_what_to_do(tmp_path):
    (tmp_path / "records.db").write_text("not a database, but long enough to be looked at as one" * 100)
    store = store_at(f"sqlite:///{tmp_path / 'records.db'}")
    with pytest.raises(RecordsError, match=r"at .*records\.db does not answer as expected: file is not a database"):
        store.get("tides", "batches", "may")
    away = store_at("postgresql://ada:s3cret@127.0.0.1:9/records")
    with pytest.raises(RecordsError, match="Look at its server or disk") as said:
        away.put("tides", "batches", "may", {})
    assert "s3cret" not in str(said.value)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("mysql://host/name", "records are kept in SQLite or PostgreSQL, not in mysql"),
        ("sqlite://", "records are kept in a file: name one"),
        ("records.db", "the address of the database of records is not a URL"),
    ],
)
def test_another_kind_of_database_is_refused(url, reason):
    with pytest.raises(RecordsError, match=reason):
        store_at(url)


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "home").write_text("a file, where a folder should be")
    store = store_at(f"sqlite:///{tmp_path / 'home' / 'deep' / 'records.db'}")
    with pytest.raises(RecordsError, match=r"the database of records at .*records\.db does not answer as expected"):
        store.put("tides", "batches", "may", {})
