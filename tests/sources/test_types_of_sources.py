"""Types x gaps x roles x sources: what each source gives is taken in, stored and fitted, or refused with a reason."""

import itertools
from contextlib import suppress
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from mlops_assets import UpstreamAsset
from mlops_assets.checks import reasons
from mlops_assets.errors import SourceError, SourceUnavailableError, TrainingError
from mlops_assets.sources import Delta, Folder, Frame, Table
from mlops_assets.sources.data_version import data_version
from support.types_of_columns import NOT_PARQUET, PLAIN, ROLES, ROWS, TYPES, a_batch, fits, judged, read_back, with_gaps

GAPS = [False, True]
NOT_DELTA = {"time of day", "timedelta", "uint64 beyond"}  # Delta has no such types: its writer refuses them
POSTGRES = {
    "smallint": "i",
    "bigint": "i * 200000000000000000",
    "numeric": "i / 7.0",
    "numeric(38, 0)": "i * 10000000000000000000000000000000000",
    "real": "i / 7.0",
    "double precision": "CASE WHEN i = 1 THEN 'NaN' ELSE i::text END::float8",
    "numeric NaN": "CASE WHEN i = 1 THEN 'NaN' ELSE i::text END::numeric",
    "numeric infinite": "CASE WHEN i = 1 THEN 'Infinity' ELSE i::text END::numeric",
    "float infinite": "CASE WHEN i = 1 THEN 'Infinity' ELSE i::text END::float8",
    "boolean": "i %% 2 = 0",
    "text": "'colour ' || i %% 3",
    "char(3)": "i::text",
    "uuid": "md5(i::text)::uuid",
    "date": "date '2023-01-01' + i",
    "date infinite": "CASE WHEN i = 1 THEN 'infinity' ELSE '2023-01-01' END::date",
    "date of old": "date '0044-03-15 BC' + i",
    "timestamp": "timestamp '2023-01-01' + i * interval '1 hour'",
    "timestamp beyond": "timestamp '20000-01-01' + i * interval '1 hour'",
    "timestamptz": "timestamptz '2023-01-01 00:00+05' + i * interval '1 hour'",
    "time": "time '10:00' + i * interval '1 minute'",
    "timetz": "time with time zone '10:00+02' + i * interval '1 minute'",
    "interval": "i * interval '1 hour'",
    "interval of months": "i * interval '1 month'",
    "bytea": "decode(md5(i::text), 'hex')",
    "json": "json_build_object('a', i)",
    "jsonb": "to_jsonb(i)",
    "integer[]": "ARRAY[i, i]",
    "text[]": "ARRAY['a']",
    "int4range": "int4range(i, i + 2)",
    "inet": "('10.0.0.' || i)::inet",
    "money": "i::money",
    "xml": "('<a>' || i || '</a>')::xml",
    "bit(4)": "i::bit(4)",
    "point": "point(i, i)",
}
SQLITE = {
    "integers": "i",
    "integers of 64 bits": "9223372036854775800 - i",
    "reals": "i / 7.0",
    "real beyond": "CASE i WHEN 1 THEN 9e999 ELSE i END",
    "texts": "'colour ' || i % 3",
    "mixed": "CASE i % 2 WHEN 0 THEN 'a' ELSE i END",
    "numbers and texts of numbers": "CASE i % 2 WHEN 0 THEN '7' ELSE i END",
    "blobs": "randomblob(4)",
    "blob once": "CASE i WHEN 1 THEN x'ff' ELSE 'a' END",
    "dates": "date('2023-01-01', '+' || i || ' days')",
    "times with a zone": "datetime('2023-01-01', '+' || i || ' hours') || '+02:00'",
    "NULs": "'a' || char(0) || i",
}


def ends_well(read, roles=ROLES):
    """Both columns of what a source gave, in each role: accepted, stored and fitted, or refused with the reason."""
    for role, gaps in itertools.product(roles, GAPS):
        rows, outcomes = judged(a_batch(role, read["gaps" if gaps else "whole"].array), None, role)
        read_back(rows.astype(str))  # rejected rows are kept as text
        refused = reasons(outcomes)
        assert all(len(reason) > 10 for reason in refused)
        if role == "dropped":
            assert not refused, refused
            rows = rows.drop(columns="dropped", errors="ignore")
        if refused:
            continue
        assert set(map(str, rows.dtypes)) <= PLAIN
        stored = read_back(rows)
        assert data_version(stored) == data_version(rows)
        if role in ("feature", "target") and gaps:
            with suppress(TrainingError):  # one class only, which another batch may mend
                fits(stored, role, kinds=1)


def both(kind):
    make, _ = TYPES[kind]
    return pd.DataFrame({"number": range(ROWS), "whole": make().array, "gaps": with_gaps(make()).array})


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "half characters"])  # is no text to be written
def test_a_folder_of_csv(kind, tmp_path):
    frame = both(kind)
    frame.to_csv(tmp_path / "one.csv", index=False)
    ends_well(Folder(f"{tmp_path}/*.csv").read("one"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(TYPES.keys() - NOT_PARQUET))
def test_a_folder_of_parquet(kind, tmp_path):
    both(kind).to_parquet(tmp_path / "one.parquet", index=False)
    ends_well(Folder(f"{tmp_path}/*.parquet").read("one"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(TYPES.keys() - NOT_PARQUET - NOT_DELTA))
def test_a_delta_table(kind, tmp_path):
    at = pd.Series(pd.date_range("2023-01-01", periods=ROWS, freq="s", tz="UTC"))
    table = pa.Table.from_pandas(both(kind).assign(at=at), preserve_index=False)
    write_deltalake(str(tmp_path / "kinds"), table.replace_schema_metadata(None))
    source = Delta(str(tmp_path / "kinds"), period="day", time="at")
    assert list(source.look().ready) == ["2023-01-01"]
    ends_well(source.read("2023-01-01"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(TYPES.keys() - NOT_PARQUET))
def test_an_upstream_asset_that_is_a_table_of_arrow(kind):
    """A DataFrame comes through as it is; `test_plain_columns` has those."""
    value = pa.Table.from_pandas(both(kind), preserve_index=False)
    assets = SimpleNamespace(newest=lambda _: None, materialised=lambda _: {"one": "1"}, load=lambda *_: value)
    source = UpstreamAsset("lake/rentals", time="whole" if kind in ("naive", "date") else None).within(assets)
    try:
        read = source.read("one")
    except SourceError as refusal:  # by pandas, which does not know its own names of nested types
        assert kind in ("arrow list", "arrow map", "arrow struct") and "to_pandas() of its value" in str(refusal)
        return
    ends_well(read, roles=("feature", "target", "key", "time"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", TYPES)
def test_a_frame_whose_column_of_time_is_of_any_type(kind):
    make, _ = TYPES[kind]
    source = Frame(lambda: iter([("one", pd.DataFrame({"whole": make(), "gaps": with_gaps(make())}))]), time="whole")
    try:
        read = source.read("one")
    except SourceError as refusal:
        assert "column 'whole'" in str(refusal) and "callable raised" not in str(refusal)
        return
    ends_well(read, roles=("time", "known_at"))


@pytest.mark.slow
@pytest.mark.parametrize("sql", POSTGRES)
def test_a_table_of_postgres(sql, on_postgres):
    value = POSTGRES[sql]
    on_postgres.run(
        f"CREATE TABLE kinds AS SELECT i AS number, {value} AS whole, "
        f"CASE WHEN mod(i, 5) = 3 THEN NULL ELSE {value} END AS gaps FROM generate_series(0, {ROWS - 1}) AS i"
    )
    taken(Table("kinds", url=on_postgres.url, high_watermark="number"))


@pytest.mark.slow
@pytest.mark.parametrize("sql", SQLITE)
def test_a_table_of_sqlite(sql, on_sqlite):
    value = SQLITE[sql]
    on_sqlite.run(
        f"CREATE TABLE kinds AS WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS - 1}) "
        f"SELECT i AS number, {value} AS whole, CASE WHEN i % 5 = 3 THEN NULL ELSE {value} END AS gaps FROM n"
    )
    taken(Table("kinds", url=on_sqlite.url, high_watermark="number"))


def taken(table):
    """Read and judged; a batch that cannot be read is refused, and not asked for again as if its database were away."""
    (key,) = table.look().ready
    try:
        read = table.read(key)
    except SourceUnavailableError as away:
        pytest.fail(f"asked for again for ever: {away}")
    except SourceError as refusal:
        assert "cannot be read" in str(refusal)
        return
    ends_well(read)


@pytest.mark.parametrize("beyond", ["date '0044-03-15 BC'", "timestamp '20000-01-01'", "date 'infinity'"])
@pytest.mark.parametrize("row", [0, 3])
def test_a_value_that_python_has_none_for_refuses_the_batch_in_whichever_row_it_stands(beyond, row, on_postgres):
    on_postgres.run(
        f"CREATE TABLE kinds AS SELECT i AS number, CASE i WHEN {row} THEN {beyond} ELSE '2023-01-01' END AS day "
        "FROM generate_series(0, 5) AS i"
    )
    table = Table("kinds", url=on_postgres.url, high_watermark="number")
    with pytest.raises(SourceError, match=r"holds a value that cannot be read: (date|timestamp) too"):
        table.read("0-start--000005")


@pytest.mark.parametrize("bad", ["infinity", "0044-01-01 BC"])
@pytest.mark.parametrize("declared", [{"period": "day"}, {"high_watermark": "at"}], ids=str)
@pytest.mark.parametrize("kind", ["timestamptz", "date"])
def test_a_time_that_python_has_none_for_holds_up_no_other_row(kind, declared, bad, on_postgres):
    on_postgres.run(
        f"CREATE TABLE kinds AS SELECT i AS number, CASE i WHEN 3 THEN '{bad}' ELSE date '2023-01-01' + i END::{kind} "
        "AS at FROM generate_series(0, 5) AS i"
    )
    table = Table("kinds", url=on_postgres.url, time="at", **declared)
    look = table.look()
    assert [waiting.reason[:6] for waiting in look.waiting] == ["1 rows"]
    assert sum(len(table.read(key)) for key in look.ready) == 5


@pytest.mark.parametrize("kind", ["decimal128", "arrow bool", "arrow struct", "bytes", "complex", "1e299", "set"])
def test_a_column_of_time_of_no_such_type_is_named(kind):
    make, _ = TYPES[kind]
    with pytest.raises(SourceError, match=r"column 'whole' (holds|of type) .*; expected (one format|values such as)"):
        Frame(lambda: iter([("one", make().to_frame("whole"))]), time="whole").read("one")
