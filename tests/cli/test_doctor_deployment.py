"""`mlops-assets doctor` on servers: what it tries, it says is fine; what it did not try, it says so."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
import yaml

from mlops_assets.cli.doctor.findings import Finding
from mlops_assets.cli.doctor.servers import compute_logs, dagster_database, launcher, reached, way_to_open
from mlops_assets.cli.doctor.settings import settings
from support.postgres import URL_PASSWORD, Postgres, postgres
from support.servers.server import REPOSITORY
from support.servers.stores import Bucket, s3, s3_bucket

__all__ = ["postgres", "s3", "s3_bucket"]
FAR = {"run_launcher": {"module": "dagster._core.test_utils", "class": "MockedRunLauncher"}}
IN_UTC = "?options=-ctimezone%3DUTC"
S3 = yaml.safe_load((REPOSITORY / "deploy" / "dagster.yaml").read_text())["compute_logs"]


@contextmanager
def instance_with(folder: Path, config: dict[str, Any]) -> Iterator[dg.DagsterInstance]:
    folder.mkdir(exist_ok=True)
    (folder / "dagster.yaml").write_text(yaml.safe_dump({"telemetry": {"enabled": False}, **config}))
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        yield instance


def on_postgres(url: str) -> dict[str, Any]:
    return {"storage": {"postgres": {"postgres_url": url}}}


@pytest.mark.parametrize("scheme", ["postgresql+psycopg", "postgresql+psycopg2"])
def test_a_driver_by_which_dagster_cannot_notify_is_a_fault_that_names_the_other(
    scheme: str, tmp_path: Path, postgres: Postgres
):
    url = postgres.url().replace("postgresql", scheme, 1) + IN_UTC
    with instance_with(tmp_path, on_postgres(url)) as instance:
        found = {each.name: each for each in settings(instance, ["rentals"])}["stores of Dagster"]
        events = instance.event_log_storage
        run = dg.DagsterRun(job_name="any", run_id=str(uuid.uuid4()))
        if scheme == "postgresql+psycopg2":
            instance.report_engine_event("written", run)
            assert len(events.get_logs_for_run(run.run_id)) == 1
        else:
            with pytest.raises(Exception, match="syntax error"):  # so the fault is true
                instance.report_engine_event("written", run)
    where = f"://mlops:***@127.0.0.1:{postgres.port}/postgres"
    assert URL_PASSWORD not in found.found + found.mend
    if scheme == "postgresql+psycopg2":
        assert found.severity == "fine" and f"{where}: PostgreSQL 1" in found.found
        assert found.found.endswith("takes notifications by psycopg2")
    else:
        assert found.severity == "fault" and "the driver psycopg, which cannot notify" in found.found
        assert f"{scheme}{where} becomes postgresql+psycopg2{where}\n" in found.mend


def test_a_database_that_refuses_writes_or_keeps_another_time_is_a_fault(tmp_path: Path, postgres: Postgres):
    url = postgres.url().replace("postgresql", "postgresql+psycopg2", 1)
    with instance_with(tmp_path / "tokyo", on_postgres(url)) as instance:
        found = dagster_database(instance)
    assert found.severity == "fault" and "have the time zone Asia/Tokyo" in found.found
    with (
        instance_with(tmp_path / "full", on_postgres(url + IN_UTC)) as instance,
        psycopg.connect(postgres.url(), autocommit=True) as server,
    ):
        server.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
        try:
            found = dagster_database(instance)
        finally:
            server.execute("ALTER DATABASE postgres RESET default_transaction_read_only")
    assert found.severity == "fault" and found.found.endswith("takes no writes: it is read-only")


def test_a_driver_that_is_not_installed_is_named_where_the_instance_does_not_open():
    assert "postgresql+psycopg2" in way_to_open(ModuleNotFoundError("No module named 'psycopg'"))
    assert "DAGSTER_HOME" in way_to_open(ValueError("other"))


def test_a_launcher_that_puts_runs_elsewhere_needs_all_that_lasts_on_servers(tmp_path: Path):
    with instance_with(tmp_path, FAR) as instance:
        assert (dagster_database(instance).severity, compute_logs(instance).severity) == ("fault", "advice")
        assert "where MockedRunLauncher puts them" in compute_logs(instance).found
        assert launcher(instance).severity == "advice" and "not tried" in launcher(instance).why
        local = list(reached(instance, "/srv/storage", Path("/srv/records.db"), "sqlite:////srv/mlflow.db"))
        assert [found.severity for found in local] == ["fault", "fault", "advice"]
        assert "MLOPS_ASSETS_DATABASE" in local[0].mend and "not tried" in local[2].found
        assert list(reached(instance, "s3://bucket/storage", None, "https://mlflow")) == []


def test_a_code_server_elsewhere_is_seen_by_its_runs(tmp_path: Path):
    with instance_with(tmp_path, {}) as instance:
        assert compute_logs(instance).severity == "fine" and "as are runs" in compute_logs(instance).found
        assert list(reached(instance, "/srv/storage", Path("/srv/records.db"), "sqlite:////srv/mlflow.db")) == []
        tags = {".dagster/grpc_info": '{"host": "code", "port": 4000}'}
        instance.add_run(dg.DagsterRun(job_name="any", run_id="8c0e6b9c-1a55-4dc4-9e0b-2f5e0e6b7a11", tags=tags))
        assert "runs are processes of the code server at code" in compute_logs(instance).found
        assert launcher(instance).found == "DefaultRunLauncher: each run is the code server at code"


@pytest.mark.slow
def test_a_store_of_logs_is_asked(tmp_path: Path, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch):
    def found(name: str) -> Finding:
        monkeypatch.setenv("COMPUTE_LOGS_BUCKET", name)
        with instance_with(tmp_path, {"compute_logs": S3}) as instance:
            return compute_logs(instance)

    there = found(s3_bucket.name)
    assert (there.severity, there.found.endswith("written to was not tried")) == ("fine", True)
    missing = found("no-such-bucket")
    assert missing.severity == "fault" and "NoSuchBucket" in missing.found
    assert s3_bucket.server.environment["AWS_SECRET_ACCESS_KEY"] not in str(missing)
