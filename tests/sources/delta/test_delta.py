"""Delta tables as a source: what is a batch, what is a change, and what a look costs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from mlops_assets import Delta, Limits
from mlops_assets.errors import DeclarationError, SourceError, SourceUnavailableError
from mlops_assets.sources.data_version import data_version
from mlops_assets.sources.delta import look as look_module
from mlops_assets.sources.delta import opened as opened_module
from mlops_assets.sources.delta import periods as periods_module
from mlops_assets.sources.yaml_form import source_of

NOW = pd.Timestamp("2012-01-01")


def rows(month, count=20, zone="UTC", **columns):
    times = pd.date_range(f"2011-{month:02d}-01", periods=count, freq="D", tz=zone)
    return pd.DataFrame({"t": times, "v": range(count), "s": [f"{month}-{row}" for row in range(count)], **columns})


def put(path, frame, **options):
    write_deltalake(path, frame, **{"mode": "append", **options})


@pytest.fixture
def path(tmp_path):
    for month in (1, 2, 3):
        put(str(tmp_path / "bikes"), rows(month))
    return str(tmp_path / "bikes")


@pytest.fixture
def loads(monkeypatch):
    """How often a table was opened, and which files had their times read."""
    seen = {"opened": 0, "files": []}
    opened, by_rows = look_module.opened, periods_module._by_rows

    def counted(delta):
        seen["opened"] += 1
        return opened(delta)

    def read(delta, period, file, fragment):
        seen["files"].append(file)
        return by_rows(delta, period, file, fragment)

    monkeypatch.setattr(look_module, "opened", counted)
    monkeypatch.setattr(periods_module, "_by_rows", read)
    return seen


def source_of_months(path, **options):
    return Delta(path, **{"period": "month", "time": "t", **options})


def ready(source, now=NOW):
    return source.look({}, now).ready


def test_a_batch_is_all_rows_of_a_period_that_is_over(path):
    source = source_of_months(path)
    look = source.look({}, pd.Timestamp("2011-03-25"))
    assert (list(look.ready), [waiting.name for waiting in look.waiting]) == (["2011-01", "2011-02"], ["2011-03"])
    frame = source.read("2011-02")
    assert frame["s"].tolist() == [f"2-{row}" for row in range(20)] and list(frame) == ["t", "v", "s"]
    assert frame["t"].iloc[0] == pd.Timestamp("2011-02-01", tz="UTC")
    assert source.describe() == f"Delta {path!r:.120}: all rows of one month of 't' are a batch."


def test_a_table_without_a_new_version_is_not_opened_again(path, loads):
    source = source_of_months(path)
    marks = ready(source)
    assert [ready(source) for _ in range(3)] == [marks] * 3 and loads == {"opened": 1, "files": []}
    put(path, rows(4))
    assert list(ready(source)) == ["2011-01", "2011-02", "2011-03", "2011-04"] and loads["opened"] == 2


def test_only_the_periods_of_files_that_came_or_went_change(path):
    source = source_of_months(path)
    before = ready(source)
    put(path, rows(2, count=3, s="late"))
    after = ready(source)
    assert [key for key in before if before[key] != after[key]] == ["2011-02"]
    assert len(source.read("2011-02")) == 23
    DeltaTable(path).delete("s = 'late'")
    assert len(source.read("2011-02")) == 20
    DeltaTable(path).delete("t < '2011-02-01'")
    assert list(ready(source)) == ["2011-02", "2011-03"]
    with pytest.raises(SourceError, match="batch '2011-01': has no rows any more"):
        source.read("2011-01")


def test_the_same_rows_in_other_files_are_the_same_data_version(path):
    source = source_of_months(path)
    put(path, rows(2).assign(s="same"))
    put(path, rows(2).assign(s="same"))
    before = data_version(source.read("2011-02"))
    marks = ready(source)
    DeltaTable(path).optimize.compact()
    assert list(ready(source)) == list(marks)
    assert len(DeltaTable(path).file_uris()) == 1 and data_version(source.read("2011-02")) == before


def test_a_table_that_was_made_anew_is_read_anew(path):
    source = source_of_months(path)
    ready(source)
    shutil.rmtree(path)
    for month in (5, 6, 7):
        put(path, rows(month))
    assert list(ready(source)) == ["2011-05", "2011-06", "2011-07"]


def test_a_file_of_several_periods_has_its_times_read_once(tmp_path, loads):
    path = str(tmp_path / "wide")
    frame = pd.concat([rows(1), rows(5)], ignore_index=True)
    put(path, pa.Table.from_pandas(frame, preserve_index=False).combine_chunks())  # else some versions write two files
    assert list(ready(source_of_months(path))) == ["2011-01", "2011-05"]  # and not the months in between
    put(path, rows(6))
    assert list(ready(source_of_months(path))) == ["2011-01", "2011-05", "2011-06"]
    assert len(set(loads["files"])) == 1


@pytest.mark.parametrize("partitioned", ["place", "day"])
@pytest.mark.parametrize("statistics", [True, False])
def test_partitions_and_missing_statistics_change_nothing(tmp_path, partitioned, statistics):
    path = str(tmp_path / "parts")
    frame = pd.concat([rows(1), rows(2)], ignore_index=True).assign(place=["a b", "c/d", "e%f", "g=h"] * 10)
    frame["day"] = frame["t"].dt.date
    options = {} if statistics else {"configuration": {"delta.dataSkippingNumIndexedCols": "0"}}
    put(path, frame, partition_by=[partitioned], **options)
    for time in ("t", "day"):
        source = source_of_months(path, time=time)
        assert list(ready(source)) == ["2011-01", "2011-02"]
        read = source.read("2011-02")
        assert read["s"].tolist() == [f"2-{row}" for row in range(20)]
        assert set(read["place"]) == {"a b", "c/d", "e%f", "g=h"}
        assert read[time].iloc[0].tz_localize(None) == pd.Timestamp("2011-02-01")


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Tokyo"])
@pytest.mark.parametrize("period", ["day", "week", "month", "quarter", "year"])
def test_times_are_divided_in_utc(tmp_path, zone, period):
    frame = pd.DataFrame({"t": pd.date_range("2010-12-30", periods=60, freq="5h", tz=zone), "v": range(60)})
    put(str(tmp_path / "zoned"), frame)
    source = source_of_months(str(tmp_path / "zoned"), period=period)
    keys = ready(source, pd.Timestamp("2013-01-01"))
    parts = [source.read(key) for key in keys]
    assert pd.concat(parts)["v"].tolist() == list(range(60))
    assert (
        len(keys) == {"day": parts[0]["t"].dt.date.nunique(), "week": 3, "month": 2, "quarter": 2, "year": 2}[period]
        or period == "day"
    )


def test_rows_without_a_time_are_in_no_batch_and_are_said(path):
    late = rows(2, count=3)
    late.loc[1, "t"] = pd.NaT
    put(path, late)
    look = source_of_months(path).look({}, NOW)
    assert [(waiting.name, waiting.reason) for waiting in look.waiting] == [
        ("rows without t", "1 rows have no value in column 't'; fill it in")
    ]
    assert len(source_of_months(path).read("2011-02")) == 22


@pytest.mark.fault(17, 18, 19)
def test_limits_hold_before_and_while_rows_are_read(tmp_path):
    path = str(tmp_path / "long")
    put(path, rows(1, count=28).assign(text="z" * 100_000))
    for limits, match in [
        (Limits(max_rows=27), "has 28 rows; expected at most 27. Declare a shorter period"),
        (Limits(max_columns=3), "has 4 columns; expected at most 3"),
        (Limits(max_mb=1), "takes more than 1 MB. Declare a shorter period, or raise limits.max_mb"),
    ]:
        with pytest.raises(SourceError, match=match) as raised:
            source_of_months(path, limits=limits).read("2011-01")
        assert not isinstance(raised.value, SourceUnavailableError)


@pytest.mark.parametrize("key", ["2011", "2011-W05", "x", "2011-13", "../x", "2011-1"])
def test_a_key_that_is_no_month_is_refused(path, key):
    with pytest.raises(SourceError, match="is not a month; expected a key that a look returned"):
        source_of_months(path).read(key)


def test_what_cannot_be_divided_or_is_not_there_is_named(path, tmp_path):
    with pytest.raises(SourceUnavailableError, match=r"time: there is no column 'T'; did you mean 't'"):
        source_of_months(path, time="T").look()
    with pytest.raises(SourceUnavailableError, match=r"column 's' is of type string; expected timestamps or dates"):
        source_of_months(path, time="s").look()
    with pytest.raises(SourceUnavailableError, match="there is no Delta table; correct the path"):
        source_of_months(str(tmp_path / "nothing")).look()
    with pytest.raises(DeclarationError, match="needs time"):
        Delta(path, period="month").look()


@pytest.mark.fault(3)
def test_a_damaged_or_missing_file_rejects_no_batch(path, tmp_path):
    file = next((tmp_path / "bikes").glob("*.parquet"))
    content = file.read_bytes()
    file.write_bytes(content[:-50])
    with pytest.raises(SourceUnavailableError, match="the table does not give its rows"):
        [source_of_months(path).read(f"2011-0{month}") for month in (1, 2, 3)]
    file.unlink()
    with pytest.raises(SourceUnavailableError, match="a file of the table is gone, as after VACUUM"):
        [source_of_months(path).read(f"2011-0{month}") for month in (1, 2, 3)]


def test_columns_of_all_kinds_are_read(tmp_path):
    frame = rows(1, count=4)
    frame["i"], frame["b"], frame["n"] = pd.array([1, None, 3, 4], "Int64"), [True, False, None, True], np.nan
    frame["list"], frame["many"] = [[1], [2, 3], None, []], ["a", None, "b", "a"]
    put(str(tmp_path / "kinds"), frame)
    read = source_of_months(str(tmp_path / "kinds")).read("2011-01")
    assert read["i"].tolist()[0] == 1 and np.isnan(read["i"][1]) and read["list"][1].tolist() == [2, 3]
    assert data_version(read) == data_version(source_of_months(str(tmp_path / "kinds")).read("2011-01"))


@pytest.mark.parametrize("feature", ["deletionVectors", "columnMapping", "of the future"])
def test_a_table_with_a_feature_that_is_not_read_is_refused_with_its_name(path, feature):
    log = Path(path) / "_delta_log" / f"{0:020d}.json"
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    features = {"readerFeatures": [feature], "writerFeatures": [feature]}
    for action in actions:
        if "protocol" in action:
            action["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
    log.write_text("\n".join(map(json.dumps, actions)))
    with pytest.raises(SourceUnavailableError, match=f"(?i)the table does not give its rows: .*{feature}"):
        source_of_months(path).look()


# What may be declared


@pytest.mark.fault(63, 64, 69)
@pytest.mark.parametrize(
    ("path", "match"),
    [
        ("http://x/y", "begins with 'http:'"),
        ("file:///etc", "begins with 'file:'"),
        ("s3://key:canary@bucket/bikes", "has options or credentials"),
        ("s3://bucket/bikes?token=canary", "has options or credentials"),
        ("s3://", "names no bucket"),
        (" ", "names no table"),
    ],
)
def test_a_path_that_cannot_be_a_table_is_refused_when_it_is_declared(path, match):
    with pytest.raises(DeclarationError, match=match) as raised:
        Delta(path, period="month")
    assert "canary" not in str(raised.value)


def test_what_is_needed_is_said_when_it_is_declared(monkeypatch):
    with pytest.raises(DeclarationError, match="it is not declared what a batch is: declare period='day'"):
        Delta("bikes")
    monkeypatch.setattr("mlops_assets.sources.delta.source.find_spec", lambda _: None)
    with pytest.raises(DeclarationError, match=r"not installed: pip install 'mlops-assets\[delta\]'"):
        Delta("bikes", period="day")


def test_written_in_yaml():
    assert source_of({"delta": "s3://bucket/bikes", "period": "week"}) == Delta("s3://bucket/bikes", period="week")


def test_options_of_the_client_come_from_the_variables_of_a_folder():
    options = opened_module._options
    assert options("bikes", {"AWS_REGION": "x"}) == {}
    s3 = options("s3://b/t", {"AWS_ENDPOINT_URL": "http://localhost:1", "AWS_SECRET_ACCESS_KEY": "canary"})
    assert s3 == {
        **opened_module._CLIENT,
        "aws_endpoint_url": "http://localhost:1",
        "aws_region": "us-east-1",
        "aws_allow_http": "true",
    }
    assert options("s3://b/t", {"AWS_DEFAULT_REGION": "eu"})["aws_region"] == "eu"
    azure = options("abfs://box@account.dfs.core.windows.net/t", {})
    assert azure == {**opened_module._CLIENT, "azure_storage_account_name": "account"}
    assert options("gs://b/t", {}) == opened_module._CLIENT
