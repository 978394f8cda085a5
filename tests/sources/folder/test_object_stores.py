"""Folders on a real S3 and a real Azure Blob server: odd names, pages of listings, replaced objects, no answer."""

import re
import time
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest

from mlops_assets.errors import SourceError, SourceUnavailableError
from mlops_assets.sources import Folder, Limits, object_store
from mlops_assets.sources.source import Known
from support.servers.stores import any_bucket, azure, azure_bucket, s3, s3_bucket  # noqa: F401

pytestmark = pytest.mark.slow

GOOD = b"x,y\n1,2\n3,4\n"


def put(bucket, name, content=GOOD):
    with bucket.files.open_output_stream(f"{bucket.name}/{name}") as stream:
        stream.write(content)


def ready(source):
    return list(source.look(source.look({}).seen).ready)


@pytest.mark.fault(21)
def test_names_of_all_kinds_are_listed_and_the_safe_ones_read(any_bucket):  # noqa: F811
    odd = [
        "a b.csv",
        "\u00fc.csv",
        "100%.csv",
        "a%20b.csv",
        "a+b.csv",
        "h#x.csv",
        "q?x.csv",
        "new\nline.csv",
        "&amp;.csv",
    ]
    for name in [*odd, "b-10.csv", "b-2.csv", ".hidden.csv", "b-2.csv.done", "y=1/m=2/a.csv", "empty.csv"]:
        put(any_bucket, f"in/{name}", b"" if name == "empty.csv" else GOOD)
    any_bucket.files.create_dir(f"{any_bucket.name}/in/made")
    put(any_bucket, "in/dir.parquet/part-0.parquet")
    flat, deep = Folder(f"{any_bucket.url}/in/*"), Folder(f"{any_bucket.url}/in/**/*.csv")
    names = {file for file in ready(flat)}
    assert len(names) == len(odd) + 4 and {"b-2.csv", "b-10.csv", "empty.csv", "dir.parquet"} <= names
    look = flat.look({})
    assert list(look.ready) == ["b-2.csv", "dir.parquet"]  # the marker; what is no file has nothing to wait for
    for key in names - {"b-2.csv", "b-10.csv"}:
        with pytest.raises(SourceError, match=r"unsafe name|is empty \(0 bytes\)|is a directory"):
            flat.read(key)
    nested = [key for key in ready(deep) if key.startswith("y-1")]
    assert len(ready(deep)) == len(odd) + 4 and len(nested) == 1
    assert len(flat.read("b-10.csv")) == 2
    (single,) = ready(Folder(f"{any_bucket.url}/in/h#x.csv"))
    assert single.startswith("h-x-")


@pytest.mark.fault(23, 25, 26)
def test_an_object_is_taken_in_once_and_again_when_it_is_replaced(any_bucket):  # noqa: F811
    frame = pd.DataFrame({"t": pd.to_datetime(["2011-01-30", "2011-02-01"]), "v": [1, 2]})
    put(any_bucket, "a.parquet", frame.to_parquet())
    put(any_bucket, "b.parquet", frame.assign(v=3).to_parquet())
    for period, keys in ((None, ["a", "b"]), ("month", ["2011-01", "2011-02"])):
        source = Folder(f"{any_bucket.url}/*.parquet", period=period, time="t")
        now = pd.Timestamp("2012-01-01")
        first = source.look({}, now)
        known = Known(marks={}, tried={}, asked=tuple, seen=first.seen)
        marks = source.look(source.recall(known), now).ready
        assert list(marks) == keys and source.look(source.recall(known), now).ready == marks
        assert sorted(source.read(keys[0])["v"]) == ([1, 2] if period is None else [1, 3])
        put(any_bucket, "a.parquet", pd.concat([frame, frame]).to_parquet())
        assert source.look({}, now).seen["a"] != first.seen["a"]
        put(any_bucket, "a.parquet", frame.to_parquet())
    any_bucket.files.delete_file(f"{any_bucket.name}/a.parquet")
    with pytest.raises(SourceError, match="batch 'a': there is no such file"):
        Folder(f"{any_bucket.url}/*.parquet").read("a")


@pytest.mark.fault(27)
def test_more_objects_than_a_page_has_are_listed_in_order(s3_bucket):  # noqa: F811
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: put(s3_bucket, f"many/{number}.csv"), range(1_050)))
    assert ready(Folder(f"{s3_bucket.url}/many/*.csv")) == [str(number) for number in range(1_050)]


@pytest.mark.fault(17, 19)
def test_limits_hold_before_an_object_is_read(any_bucket):  # noqa: F811
    put(any_bucket, "a.csv", b"x,y\n" + b"1,2\n" * 300_000)
    source = Folder(f"{any_bucket.url}/*.csv", limits=Limits(max_mb=1))
    with pytest.raises(SourceError, match=r"is too large \(1.2 MB\)"):
        source.read("a")
    assert len(source.model_copy(update={"limits": Limits()}).read("a")) == 300_000


@pytest.mark.fault(64)
def test_wrong_credentials_and_missing_buckets_are_named_without_secrets(any_bucket, monkeypatch):  # noqa: F811
    put(any_bucket, "a.csv")
    missing = Folder(re.sub("//.*", "//no-such-bucket-here/*.csv", any_bucket.url))
    try:
        assert missing.look({}).listed is False
    except SourceUnavailableError as problem:
        assert "does not exist" in str(problem)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-of-aws")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "Y2FuYXJ5LW9mLWF6dXJl")
    for call in (lambda source: source.look({}), lambda source: source.read("a")):
        with pytest.raises(SourceUnavailableError, match="the store refuses the credentials") as raised:
            call(Folder(f"{any_bucket.url}/*.csv"))
        assert "canary" not in str(raised.value) and "Y2Fu" not in str(raised.value)


@pytest.mark.promise(8)
@pytest.mark.fault(30)
@pytest.mark.parametrize("bucket", ["s3_bucket", "azure_bucket"])
def test_a_store_that_takes_connections_and_never_answers_is_given_up_within_15_s(
    request, bucket, black_hole, monkeypatch
):
    url = request.getfixturevalue(bucket).url
    monkeypatch.setattr(object_store, "_silent", {})
    for name in ("AWS_ENDPOINT_URL_S3", "AZURE_STORAGE_ENDPOINT"):
        monkeypatch.setenv(name, black_hole)
    begin = time.monotonic()
    for _ in range(2):  # the second look of a tick, such as that at outcomes, does not wait again
        with pytest.raises(SourceUnavailableError, match=r"Folder '\w+://.*': \w+://"):
            Folder(f"{url}/*.csv").look({})
    assert time.monotonic() - begin < 20  # loose: the machine may be busy
