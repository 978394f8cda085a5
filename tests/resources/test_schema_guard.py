"""MLflow's SQLite file and another version of MLflow: compared without writing, copied aside, or refused."""

import logging
import os
import shutil
import sqlite3
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import dagster as dg
import pytest

from mlops_assets.cli.doctor.databases import schema_of_dagster
from mlops_assets.cli.doctor.mlflow import answers, schema
from mlops_assets.errors import RegistryError
from mlops_assets.resources.mlflow import schema_guard
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.mlflow.schema_guard import guard
from mlops_assets.resources.schema_revisions import (
    known_revisions,
    newest_revision,
    revision_of_file,
    revision_of_server,
)

HERE = version("mlflow")
UNKNOWN = "0123456789ab"


def store(path: Path, revision: str) -> Path:
    """A database that has this revision, as far as Alembic's table says."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num TEXT)")
        database.execute("DELETE FROM alembic_version")
        database.execute("INSERT INTO alembic_version VALUES (?)", (revision,))
    return path


def older(package: str = "mlflow") -> str:
    return next(iter(known_revisions(package)[newest_revision(package)]))


def changed(path: Path) -> None:
    """Let a file be written after every copy of it."""
    os.utime(path, (path.stat().st_mtime + 100,) * 2)


@pytest.mark.parametrize("package", ["mlflow", "dagster"])
def test_revisions_read_as_text_are_those_that_alembic_finds(package):
    import importlib.util

    from alembic.script import ScriptDirectory

    folder = Path(importlib.util.find_spec(package).origin).parent
    scripts = ScriptDirectory(
        str(folder / {"mlflow": "store/db_migrations", "dagster": "_core/storage/alembic"}[package])
    )
    assert scripts.get_heads() == [newest_revision(package)]
    assert {script.revision for script in scripts.walk_revisions()} == set(known_revisions(package))


def test_a_file_of_this_version_or_without_tables_is_left(tmp_path):
    guard(tmp_path / "missing.db")
    guard(store(tmp_path / "equal.db", newest_revision("mlflow")))
    sqlite3.connect(tmp_path / "empty.db").close()
    (tmp_path / "empty.db").touch()
    guard(tmp_path / "empty.db")
    assert {path.name for path in tmp_path.iterdir()} == {"equal.db", "empty.db"}


def test_an_older_file_is_copied_aside_once_and_the_first_copy_is_kept(tmp_path, caplog):
    database, copy = store(tmp_path / "mlflow.db", older()), tmp_path / f"mlflow.db.before-{HERE}"
    with caplog.at_level(logging.WARNING, logger="mlops_assets"):
        guard(database)
        guard(database)
    assert revision_of_file(copy) == older() and len(caplog.messages) == 1
    assert str(copy) in caplog.text and older() in caplog.text and newest_revision("mlflow") in caplog.text
    shutil.copy(copy, database)  # put back, and written again by an older MLflow
    with closing(sqlite3.connect(database)) as written, written:
        written.execute("CREATE TABLE later (x)")
    changed(database)
    guard(database)
    assert {path.name for path in tmp_path.iterdir()} == {"mlflow.db", copy.name, f"{copy.name}.newest"}
    with closing(sqlite3.connect(copy)) as first, closing(sqlite3.connect(f"{copy}.newest")) as newest:
        tables = "SELECT name FROM sqlite_master WHERE name = 'later'"
        assert (first.execute(tables).fetchall(), newest.execute(tables).fetchall()) == ([], [("later",)])


def test_nothing_is_opened_if_the_copy_cannot_be_made(tmp_path, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    database = store(tmp_path / "mlflow.db", older())
    monkeypatch.setattr(schema_guard.os, "fsync", full)
    with pytest.raises(RegistryError, match=r"cannot be copied to .* before: .*No space left on device.*Make room"):
        MlflowRegistry(tracking_uri=f"sqlite:///{database}").champion("bikes")
    assert [path.name for path in tmp_path.glob("*db*") if path.suffix != ".lock"] == ["mlflow.db"]
    assert revision_of_file(database) == older()


def test_a_newer_file_is_refused_with_both_versions_and_the_copy(tmp_path):
    database = store(tmp_path / "mlflow.db", UNKNOWN)
    registry = MlflowRegistry(tracking_uri=f"sqlite:///{database}")
    with pytest.raises(RegistryError, match=f"a newer MLflow than {HERE}.*{UNKNOWN}.*install the version"):
        registry.champion("bikes")
    copy = store(tmp_path / "mlflow.db.before-9.1.0", older())
    before = database.read_bytes()
    with pytest.raises(RegistryError) as refused:
        registry.champion("bikes")
    for part in (f"MLflow 9.1.0 has migrated {database}", f"MLflow {HERE}", "install MLflow 9.1.0", str(copy)):
        assert part in str(refused.value)
    assert database.read_bytes() == before


@pytest.mark.parametrize(
    "revision, severity, said",
    [(newest_revision("mlflow"), "fine", HERE), (older(), "advice", "migrates it"), (UNKNOWN, "fault", "refuses")],
)
def test_doctor_says_what_an_upgrade_has_done_or_would_do_and_opens_nothing(revision, severity, said, tmp_path):
    database = store(tmp_path / "mlflow.db", revision)
    registry, before = MlflowRegistry(tracking_uri=f"sqlite:///{database}"), database.read_bytes()
    (finding,) = schema(registry)
    assert finding.severity == severity and said in f"{finding.found} {finding.why}" and revision in finding.found
    if severity != "fine":
        assert list(answers(registry, "bikes")) == [finding]
        assert database.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]


def test_doctor_compares_the_schema_of_dagster(tmp_path):
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.get_runs()
        assert [finding.severity for finding in schema_of_dagster(instance)] == ["fine"]
        store(tmp_path / "history" / "runs.db", older("dagster"))
        (finding,) = schema_of_dagster(instance)
        assert finding.severity == "advice" and older("dagster") in finding.found and "migrate" in finding.mend
        store(tmp_path / "history" / "runs.db", UNKNOWN)
        (finding,) = schema_of_dagster(instance)
        assert finding.severity == "fault" and dg.__version__ in finding.found and UNKNOWN in finding.found
    assert list(schema_of_dagster(dg.DagsterInstance.ephemeral())) == []


def test_the_schema_of_a_postgres_database_is_read_in_a_transaction_that_cannot_write(postgres, monkeypatch):
    import psycopg
    import sqlalchemy as sa

    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE tracked")
    url = postgres.url(database="tracked").replace("postgresql://", "postgresql+psycopg://")
    assert revision_of_server(url) == ""
    with psycopg.connect(postgres.url(database="tracked"), autocommit=True) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES (%s)", (older(),))
        assert revision_of_server(url) == older()
        monkeypatch.setenv("TRACKED", url)
        (finding,) = schema(MlflowRegistry(tracking_uri="$TRACKED"))
        assert finding.severity == "advice" and "make a backup first" in finding.why
        # Reading this view has an effect, so it fails in a transaction that only reads.
        connection.execute("ALTER TABLE alembic_version RENAME TO kept")
        connection.execute("CREATE SEQUENCE read")
        connection.execute("CREATE VIEW alembic_version AS SELECT version_num || nextval('read') version_num FROM kept")
    with pytest.raises(sa.exc.DBAPIError, match="read-only transaction"):
        revision_of_server(url)
