"""One batch of a table as a frame, on SQLite and on PostgreSQL."""

import pandas as pd
import pytest

from mlops_assets.errors import SourceError
from mlops_assets.sources import Limits, Table
from mlops_assets.sources.data_version import data_version


@pytest.fixture
def orders(database):
    database.run(
        "CREATE TABLE orders (id INTEGER, day DATE, at TIMESTAMP, price NUMERIC(10, 2), name VARCHAR(20), x REAL)",
        "INSERT INTO orders VALUES (1, '2024-03-01', '2024-03-01 10:00:00', 1.25, 'a', NULL)",
        "INSERT INTO orders VALUES (2, NULL, '2024-03-01 11:00:00.5', NULL, NULL, 2)",
    )
    return database


def test_columns_hold_what_pandas_works_with(orders):
    frame = Table("orders", url=orders.url, period="month", time="at").read("2024-03")
    assert [str(kind) for kind in frame.dtypes] == [
        *("int64", "datetime64[us]", "datetime64[us]", "float64"),
        *("str", "float64"),
    ]
    assert frame["price"].tolist()[0] == 1.25
    assert frame["at"].tolist() == [pd.Timestamp("2024-03-01 10:00"), pd.Timestamp("2024-03-01 11:00:00.5")]
    assert frame["day"].isna().tolist() == [False, True]
    assert frame["name"].isna().tolist() == [False, True]


def test_kinds_are_the_same_however_the_rows_are_fetched(orders, monkeypatch):
    source = Table("orders", url=orders.url, period="month", time="at")
    whole = source.read("2024-03")
    monkeypatch.setattr("mlops_assets.sources.table.read._PART", 1)
    pd.testing.assert_frame_equal(source.read("2024-03"), whole)


def test_postgres_kinds_of_its_own_become_plain_ones(on_postgres):
    on_postgres.run(
        "CREATE TABLE orders (id BIGINT, at TIMESTAMPTZ, ok BOOLEAN, code UUID)",
        "INSERT INTO orders VALUES (1, '2024-03-01 01:00+02', true, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')",
        "INSERT INTO orders VALUES (2, '2024-03-01 23:59:59.999999+00', false, NULL)",
    )
    look = Table("orders", url=on_postgres.url, period="day", time="at").look(now=pd.Timestamp("2024-03-05"))
    assert list(look.ready) == ["2024-02-29", "2024-03-01"]
    source = Table("orders", url=on_postgres.url, high_watermark="at")
    assert list(source.look().ready) == ["0-start--20240301T235959.999999"]
    frame = source.read("0-start--20240301T235959.999999")
    assert [str(kind) for kind in frame.dtypes] == ["int64", "datetime64[us, UTC]", "bool", "str"]
    assert frame["at"].tolist()[0] == pd.Timestamp("2024-02-29 23:00", tz="UTC")


def test_value_that_python_has_none_for_is_the_fault_of_the_batch(on_postgres):
    on_postgres.run(
        "CREATE TABLE orders (id BIGINT, until TIMESTAMP)",
        "INSERT INTO orders VALUES (1, '2024-03-01'), (2, 'infinity')",
    )
    source = Table("orders", url=on_postgres.url, high_watermark="id")
    (key,) = source.look().ready
    with pytest.raises(
        SourceError, match=r"batch '0-start--000002': holds a value that cannot be read: .*'?infinity'?.* Cor"
    ):
        source.read(key)


def test_json_and_arrays_of_postgres_are_texts_that_the_same_rows_always_have(on_postgres):
    on_postgres.run(
        "CREATE TABLE orders (id BIGINT, said JSONB, tags TEXT[], at TIMESTAMP[])",
        """INSERT INTO orders VALUES (1, '{"b": [1, null], "a": "x"}', '{red,blue}', '{2024-03-01 10:00}')""",
        """INSERT INTO orders VALUES (2, '"plain"', NULL, NULL), (3, NULL, '{}', NULL)""",
    )
    frame = Table("orders", url=on_postgres.url, high_watermark="id").read("0-start--000003")
    assert frame["said"].dropna().tolist() == ['{"a": "x", "b": [1, null]}', "plain"]
    assert frame["tags"].dropna().tolist() == ['["red", "blue"]', "[]"]
    assert frame["at"].dropna().tolist() == ['["2024-03-01 10:00:00"]']
    assert frame["said"].isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    "written",
    ["2024-03-01", "2024-03-01 00:00:00", "2024-03-01T00:00", "2024-03-01 00:00:00.000000", "2024-03-01T01:00+01:00"],
)
def test_times_that_sqlite_keeps_as_text_lie_in_their_period_however_written(on_sqlite, written):
    on_sqlite.run("CREATE TABLE orders (id INTEGER, at TIMESTAMP)", f"INSERT INTO orders VALUES (1, '{written}')")
    source = Table("orders", url=on_sqlite.url, period="day", time="at")
    assert list(source.look(now=pd.Timestamp("2024-03-05")).ready) == ["2024-03-01"]
    assert source.read("2024-03-01")["id"].tolist() == [1]
    marked = Table("orders", url=on_sqlite.url, high_watermark="at")
    assert list(marked.look().ready) == ["0-start--20240301T000000.000000"]
    assert marked.look(marked.look().ready).ready == marked.look().ready


def test_the_same_rows_have_the_same_version_in_whatever_order_they_were_written(database):
    database.run("CREATE TABLE orders (id INTEGER, at TIMESTAMP)", "CREATE TABLE turned (id INTEGER, at TIMESTAMP)")
    rows = [{"id": number, "at": pd.Timestamp("2024-03-01").to_pydatetime()} for number in range(50)]
    database.add("orders", rows)
    database.add("turned", rows[::-1])
    frames = [
        Table(name, url=database.url, period="day", time="at").read("2024-03-01") for name in ("orders", "turned")
    ]
    assert data_version(frames[0]) == data_version(frames[1])


def test_rows_are_in_order_of_the_models_time_where_the_table_has_it(database):
    database.run(
        "CREATE TABLE orders (id INTEGER, at TIMESTAMP)",
        "INSERT INTO orders VALUES (1, '2024-03-02 00:00:00')",
        "INSERT INTO orders VALUES (2, '2024-03-01 00:00:00')",
    )
    source = Table("orders", url=database.url, high_watermark="id")
    assert source.read("0-start--000002")["id"].tolist() == [1, 2]
    assert source.with_time("at").read("0-start--000002")["id"].tolist() == [2, 1]
    assert source.with_time("elsewhere").read("0-start--000002")["id"].tolist() == [1, 2]


def test_a_query_is_a_source_with_all_that_sql_allows(database):
    database.run("CREATE TABLE orders (id INTEGER, x INTEGER)", "INSERT INTO orders VALUES (1, 2), (2, 3), (2, 4)")
    query = """
        WITH doubled AS (SELECT id, 2 * x AS twice FROM orders) /* ; */
        SELECT id AS "I d", sum(twice) AS total, ':id %s 100% ;' AS note, CAST(id AS INTEGER) AS whole
        FROM doubled WHERE ':x' <> 'it''s' GROUP BY id -- the end
    """
    source = Table(url=database.url, query=query + ";", high_watermark="I d")
    assert list(source.look().ready) == ["0-start--000002"]
    frame = source.read("0-start--000002")
    assert frame["total"].tolist() == [4, 14]
    assert frame["note"].tolist() == [":id %s 100% ;"] * 2


def test_postgres_casts_are_left_alone(on_postgres):
    source = Table(url=on_postgres.url, query="SELECT 5::bigint AS id, 'a:b'::text AS t", high_watermark="id")
    assert source.read("0-start--000005")["t"].tolist() == ["a:b"]


def test_a_view_and_a_table_of_a_schema_are_sources(on_postgres):
    on_postgres.run(
        "CREATE SCHEMA lake",
        'CREATE TABLE lake."Order Lines" ("select" INTEGER)',
        'INSERT INTO lake."Order Lines" VALUES (3)',
        'CREATE VIEW seen AS SELECT "select" AS id FROM lake."Order Lines"',
    )
    assert Table("lake.Order Lines", url=on_postgres.url, high_watermark="select").read("0-start--000003").size == 1
    assert Table("seen", url=on_postgres.url, high_watermark="id").read("0-start--000003")["id"].tolist() == [3]
    with pytest.raises(SourceError, match="there is no schema 'lakes'; did you mean 'lake'"):
        Table("lakes.seen", url=on_postgres.url, high_watermark="id").look()


@pytest.mark.parametrize(
    "limits, says",
    [
        ({"max_rows": 1}, "has 2 rows; expected at most 1. Declare a shorter period, or raise limits.max_rows"),
        ({"max_columns": 5}, "has 6 columns; expected at most 5. Select fewer in a query, or raise limits.max_columns"),
        ({"max_mb": 0.0001}, "takes more than 5,000,000 rows and 0 MB. Make the batches smaller"),
    ],
)
def test_a_batch_beyond_its_limits_is_refused(orders, limits, says):
    source = Table("orders", url=orders.url, period="month", time="at", limits=Limits(**limits))
    with pytest.raises(SourceError) as refused:
        source.read("2024-03")
    assert f"Table 'orders': batch '2024-03': {says}" in str(refused.value)


def test_what_is_missing_is_named_with_what_there_is(orders):
    for table, says in [
        (
            Table("ordres", url=orders.url, high_watermark="id"),
            "no such table; did you mean 'orders'? (tables and views: ",
        ),
        (
            Table("orders", url=orders.url, high_watermark="ID"),
            "high_watermark: there is no column 'ID'; did you mean 'id'?",
        ),
        (
            Table("orders", url=orders.url, period="day", time="when"),
            "time: there is no column 'when' (columns: at, day, id",
        ),
        (Table(url=orders.url, query="SELECT nothing FROM orders", high_watermark="id"), "does not give the rows: "),
    ]:
        for use in (table.look, lambda table=table: table.read("2024-03-01" if table.period else "0-start--000001")):
            with pytest.raises(SourceError) as refused:
                use()
            assert says in str(refused.value)


def test_two_columns_of_one_name_are_an_error(on_postgres):
    source = Table(url=on_postgres.url, query="SELECT 1 AS id, 2 AS id", high_watermark="id")
    with pytest.raises(SourceError, match=r"gives two columns 'id'\. Rename one of them with AS"):
        source.look()
