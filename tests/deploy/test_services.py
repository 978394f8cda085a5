"""The services of deploy/services: they answer, keep what they took, and can be stopped, paused and started again."""

import stat
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa

from support.postgres import Postgres
from support.servers.mlflow import PASSWORD, USER, mlflow_server
from support.servers.server import Server
from support.servers.stores import Bucket, s3_files

pytestmark = pytest.mark.slow


def test_a_store_keeps_objects_over_a_restart(any_bucket: Bucket) -> None:
    with any_bucket.files.open_output_stream(f"{any_bucket.name}/folder/object") as stream:
        stream.write(b"kept")

    any_bucket.server.stop()
    with pytest.raises(OSError):
        any_bucket.files.open_input_stream(f"{any_bucket.name}/folder/object")
    any_bucket.server.start()

    with any_bucket.files.open_input_stream(f"{any_bucket.name}/folder/object") as stream:
        assert stream.read() == b"kept"


def test_a_paused_store_is_a_black_hole_until_it_goes_on(s3: Server) -> None:
    files = s3_files(s3.environment, request_timeout=1, connect_timeout=1)
    s3.pause()
    with pytest.raises(OSError, match=r"(?i)time"):
        files.get_file_info("ready")
    s3.resume()
    assert files.get_file_info("ready").type.name == "Directory"


def test_keys_are_asked_for_and_readable_by_their_owner_only(s3: Server) -> None:
    with pytest.raises(OSError, match=r"(?i)ACCESS_DENIED|SignatureDoesNotMatch"):
        s3_files({**s3.environment, "AWS_SECRET_ACCESS_KEY": "wrong"}).get_file_info("ready/object")
    for path in [*s3.data.glob("secret_*"), s3.data / "environment", s3.data / "identities.json"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_postgresql_has_a_database_for_each_user_of_it(postgres: Postgres) -> None:
    postgres.stop()
    postgres.start()
    named = [name for name in postgres.environment if "DATABASE" in name or "URI" in name]
    engines = [sa.create_engine(postgres.environment[name]) for name in named]
    databases = set()
    for engine in engines:
        with engine.connect() as connection:
            databases.add(connection.exec_driver_sql("select current_database()").scalar())
        engine.dispose()
    assert databases == {"dagster", "mlflow", "mlops_assets"}


def test_mlflow_asks_who_you_are_and_keeps_artifacts_on_s3_for_clients_without_its_keys(
    s3_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mlflow_server(tmp_path / "server", auth=True, tls=True, artifacts=f"{s3_bucket.url}/mlflow") as server:
        for name in s3_bucket.server.environment:
            monkeypatch.delenv(name)
        own = server.client["MLFLOW_TRACKING_SERVER_CERT_PATH"]
        search = {"url": f"{server.url}/api/2.0/mlflow/experiments/search", "json": {"max_results": 1}, "timeout": 20}
        assert requests.post(verify=own, **search).status_code == 401
        assert requests.post(verify=own, auth=(USER, PASSWORD), **search).ok
        with pytest.raises(requests.exceptions.SSLError):
            requests.post(**search)

        note = f"{server.url}/api/2.0/mlflow-artifacts/artifacts/0/note.txt"
        asked = {"verify": own, "auth": (USER, PASSWORD), "timeout": 20}
        assert requests.put(note, data=b"kept", **asked).ok
        assert requests.get(note, **asked).content == b"kept"
    with s3_bucket.files.open_input_stream(f"{s3_bucket.name}/mlflow/0/note.txt") as stream:
        assert stream.read() == b"kept"
