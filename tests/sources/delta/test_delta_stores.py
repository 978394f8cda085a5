"""Delta tables on a real S3 and a real Azure Blob server, and on one that never answers."""

import time

import pandas as pd
import pytest
from deltalake import DeltaTable, write_deltalake
from pyarrow import fs

from mlops_assets import Delta
from mlops_assets.errors import SourceUnavailableError
from mlops_assets.sources import object_store
from support.servers.stores import any_bucket, azure, azure_bucket, s3, s3_bucket  # noqa: F401

pytestmark = pytest.mark.slow
NOW = pd.Timestamp("2012-01-01")


def rows(month):
    return pd.DataFrame({"t": pd.date_range(f"2011-{month:02d}-01", periods=20, tz="UTC"), "v": range(20)})


def upload(bucket, folder):
    fs.copy_files(str(folder), f"{bucket.name}/lake/bikes", fs.LocalFileSystem(), bucket.files)


@pytest.fixture
def table(tmp_path, any_bucket):  # noqa: F811
    """A table of January and February, and the folder that it was written to before it was copied."""
    for month in (1, 2):
        write_deltalake(str(tmp_path / "bikes"), rows(month).assign(place="a b"), mode="append", partition_by="place")
    upload(any_bucket, tmp_path / "bikes")
    return tmp_path / "bikes", Delta(f"{any_bucket.url}/lake/bikes", period="month", time="t")


def test_a_table_is_looked_at_and_read_and_followed(table, any_bucket, monkeypatch):  # noqa: F811
    folder, source = table
    marks = source.look({}, NOW).ready
    assert list(marks) == ["2011-01", "2011-02"] and source.read("2011-02")["v"].tolist() == list(range(20))
    with monkeypatch.context() as patch:
        patch.setattr("mlops_assets.sources.delta.look.opened", lambda _: pytest.fail("opened without a new version"))
        assert source.look({}, NOW).ready == marks
    write_deltalake(str(folder), rows(3).assign(place="c"), mode="append")
    DeltaTable(str(folder)).create_checkpoint()
    upload(any_bucket, folder)
    after = source.look({}, NOW).ready
    assert list(after) == ["2011-01", "2011-02", "2011-03"] and {key: after[key] for key in marks} == marks


@pytest.mark.fault(64)
def test_wrong_credentials_are_named_without_secrets(table, monkeypatch):
    _, source = table
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-of-aws")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "Y2FuYXJ5LW9mLWF6dXJl")
    for call in (lambda: source.look({}), lambda: source.read("2011-01")):
        with pytest.raises(SourceUnavailableError, match="does not give it") as raised:
            call()
        assert "canary" not in str(raised.value) and "Y2Fu" not in str(raised.value)


@pytest.mark.promise(8)
@pytest.mark.fault(30)
def test_a_store_that_never_answers_is_given_up_within_15_s(table, black_hole, monkeypatch):
    _, source = table
    source.look({}, NOW)
    monkeypatch.setattr(object_store, "_silent", {})
    for name in ("AWS_ENDPOINT_URL_S3", "AZURE_STORAGE_ENDPOINT"):
        monkeypatch.setenv(name, black_hole)
    begin = time.monotonic()
    for known in (source, source.model_copy(update={"period": "week"})):  # the second was never looked at
        with pytest.raises(SourceUnavailableError, match=r"Delta '\w+://.*': \w+://"):
            known.look({}, NOW)
    assert time.monotonic() - begin < 20  # loose: the machine may be busy
