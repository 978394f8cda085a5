"""Real object stores on loopback, S3 and Azure Blob: one of each for each process of tests, a bucket for each test."""

import contextlib
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from pyarrow import fs

from support.servers.server import Server, folder_of, running


@dataclass(frozen=True)
class Bucket:
    """An empty bucket or container: its URL, the server that holds it, and pyarrow's way to it, which may write all."""

    url: str
    server: Server
    files: fs.FileSystem

    @property
    def name(self) -> str:
        """The name of the bucket, which is what its paths in `files` begin with."""
        return urlsplit(self.url).netloc


def s3_server(folder: Path, *options: str, port: int | None = None) -> Server:
    """Return S3 that is not started yet."""
    return Server("s3", folder, *options, port=port, answers=_takes_objects(s3_files))


def azure_server(folder: Path, port: int | None = None) -> Server:
    """Return Azure Blob that is not started yet. Azurite writes its index each 5 s and as it ends, so not if killed."""
    return Server("azure", folder, port=port, answers=_takes_objects(azure_files), keeps_when_killed=False)


@pytest.fixture(scope="session")
def s3() -> Iterator[Server]:
    """S3, started for this process of tests."""
    with folder_of("s3") as folder, running(s3_server(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def azure() -> Iterator[Server]:
    """Azure Blob, started for this process of tests."""
    with folder_of("azure") as folder, running(azure_server(folder)) as server:
        yield server


@pytest.fixture
def s3_bucket(s3: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket on S3, and the variables that lead to it set."""
    if "boto3" in sys.modules:  # its session keeps the credentials of the server that another test has started
        monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    yield from _bucket("s3", s3, s3_files(s3.environment), monkeypatch)


@pytest.fixture
def azure_bucket(azure: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty container on Azure Blob, and the variables that lead to it set."""
    yield from _bucket("abfs", azure, azure_files(azure.environment), monkeypatch)


@pytest.fixture(params=["s3", "azure"])
def any_bucket(request: pytest.FixtureRequest) -> Bucket:
    """An empty bucket, once on S3 and once on Azure Blob."""
    bucket: Bucket = request.getfixturevalue(f"{request.param}_bucket")
    return bucket


def s3_files(environment: Mapping[str, str], **options: Any) -> fs.FileSystem:
    """Return pyarrow's way to an S3 server."""
    return fs.S3FileSystem(
        access_key=environment["AWS_ACCESS_KEY_ID"],
        secret_key=environment["AWS_SECRET_ACCESS_KEY"],
        endpoint_override=environment["AWS_ENDPOINT_URL_S3"],
        region=environment["AWS_REGION"],
        allow_bucket_creation=True,
        allow_bucket_deletion=True,
        **options,
    )


def azure_files(environment: Mapping[str, str]) -> fs.FileSystem:
    """Return pyarrow's way to an Azure Blob server."""
    authority = urlsplit(environment["AZURE_STORAGE_ENDPOINT"]).netloc
    return fs.AzureFileSystem(
        account_name=environment["AZURE_STORAGE_ACCOUNT_NAME"],
        account_key=environment["AZURE_STORAGE_ACCOUNT_KEY"],
        blob_storage_authority=authority,
        dfs_storage_authority=authority,
        blob_storage_scheme="http",
        dfs_storage_scheme="http",
    )


def _bucket(scheme: str, server: Server, files: fs.FileSystem, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    name = f"test-{uuid.uuid4().hex[:12]}"
    files.create_dir(name)
    yield Bucket(f"{scheme}://{name}", server, files)
    with contextlib.suppress(OSError):  # the test may have stopped the server, or deleted the bucket
        files.delete_dir(name)


def _takes_objects(client: Callable[[Mapping[str, str]], fs.FileSystem]) -> Callable[[Server], bool]:
    """Ask a server for a bucket with an object: its port is open some time before it keeps anything."""

    def answers(server: Server) -> bool:
        try:
            files = client(server.environment)
            files.create_dir("ready")
            with files.open_output_stream("ready/object") as stream:
                stream.write(b"1")
        except OSError:
            return False
        return True

    return answers
