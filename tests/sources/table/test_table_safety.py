"""Nothing but the declared query runs, nothing is written, no password is told, and no look lasts."""

import io
import logging
import socket
import traceback

import pytest

from mlops_assets.errors import MlopsAssetsError, SourceError, SourceUnavailableError
from mlops_assets.sources import Table
from mlops_assets.sources.table import connection as table_connection

EVIL = [
    "orders; DROP TABLE orders",
    'orders"; DROP TABLE orders; --',
    "orders'; DROP TABLE orders; --",
    "orders WHERE 1=1; DELETE FROM orders",
    "id) FROM orders; DROP TABLE orders; --",
    'id" FROM orders; DROP TABLE orders; --',
    "(SELECT pg_sleep(60))",
    "%(id)s :id ?",
]
ROWS = [(1, "it's; DROP TABLE orders"), (2, "100% :x")]


@pytest.fixture
def orders(database):
    database.run("CREATE TABLE orders (id INTEGER, name VARCHAR(50))")
    database.add("orders", [{"id": number, "name": name} for number, name in ROWS])
    yield database
    assert database.tables() == ["orders"]
    assert sorted(database.all("SELECT id, name FROM orders")) == ROWS


@pytest.mark.promise(6)
@pytest.mark.fault(65)
@pytest.mark.parametrize("evil", EVIL)
def test_no_name_of_a_table_or_column_runs(orders, evil):
    for name, key, declared in (
        (evil, "0-start--000002", {"high_watermark": "id"}),
        (f"{evil}.orders", "0-start--000002", {"high_watermark": "id"}),
        ("orders", "0-start--000002", {"high_watermark": evil}),
        ("orders", "2024-01-01", {"period": "day", "time": evil}),
        ("orders", "2024-01-01", {"period": "day", "time": "name", "high_watermark": evil}),
    ):
        source = Table(name, url=orders.url, **declared)
        for use in (source.look, lambda source=source, key=key: source.read(key)):
            with pytest.raises(SourceUnavailableError, match=r"there is no (such table|schema|column)"):
                use()


@pytest.mark.promise(6)
@pytest.mark.fault(65)
@pytest.mark.parametrize(
    "key",
    [
        *EVIL,
        "0-start--2; DROP TABLE orders",
        "000001--000002'",
        "١٢٣٤٥٦--٢٢٣٤٥٦",
        "000002--000001",
        "0-start--1",
        "0-start---00005",
        "0-start--9223372036854775808",
        "0-start--20240301T000000.0",
        "",
        "today",
        "2024-01-01+02:00",
        "NaT",
    ],
)
def test_no_name_of_a_partition_runs(orders, key):
    source = Table("orders", url=orders.url, high_watermark="id")
    with pytest.raises(SourceError, match="is not '<from>--<to>' of 'id'; expected a key that a look returned"):
        source.read(key)
    assert list(source.look({key: "mark"}).ready) == ["0-start--000002"]
    with pytest.raises(SourceError, match="is not a day; expected a key that a look returned"):
        Table("orders", url=orders.url, period="day", time="id").read(key)


@pytest.mark.promise(6)
@pytest.mark.fault(65)
def test_a_table_and_a_column_may_be_named_like_an_attack(database):
    database.run('CREATE TABLE "x; DROP TABLE y" ("id"" OR 1=1 --" INTEGER)', "CREATE TABLE y (id INTEGER)")
    database.add("x; DROP TABLE y", [{'id" OR 1=1 --': 4}])
    source = Table("x; DROP TABLE y", url=database.url, high_watermark='id" OR 1=1 --')
    assert list(source.look().ready) == ["0-start--000004"]
    assert len(source.read("0-start--000004")) == 1
    assert database.tables() == ["x; DROP TABLE y", "y"]


@pytest.mark.promise(6)
@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM orders",
        "SELECT 1; DELETE FROM orders",
        "SELECT 1 AS id;; DROP TABLE orders",
        "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
        "SELECT * INTO copied FROM orders",
        "SELECT * FROM orders FOR UPDATE",
        "/* SELECT */ DROP TABLE orders",
        "-- SELECT\nINSERT INTO orders VALUES (1, 'x')",
        "EXPLAIN ANALYZE SELECT 1",
        "PRAGMA query_only = OFF",
        "SET TRANSACTION READ WRITE",
        "",
        "SELECT 1 \0",
    ],
)
def test_a_query_that_is_not_one_select_is_refused_when_declared(query):
    with pytest.raises(MlopsAssetsError, match="expected one single SELECT that only reads"):
        Table(url="sqlite://", query=query, high_watermark="id")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS id) AS a; DROP TABLE orders",
        "DROP TABLE orders",
        "DELETE FROM orders RETURNING id",
        "SELECT E'\\'; DROP TABLE orders; --'",
    ],
)
def test_a_query_that_came_past_the_declaration_changes_nothing(orders, query):
    source = Table("orders", url=orders.url, high_watermark="id").model_copy(update={"name": None, "query": query})
    with pytest.raises(SourceUnavailableError, match=r"does not give the rows|there is no column 'id'"):
        source.look()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT $$'$$ AS x, 1 AS id) AS a; COMMIT; DROP TABLE orders; SELECT * FROM (SELECT $$'$$ AS x, 1 AS id",
        "SELECT E'\\'' AS x, 1 AS id) AS a; COMMIT; DROP TABLE orders; SELECT * FROM (SELECT E'\\'' AS x, 1 AS id",
        "SELECT $a$'$a$ AS x, 1 AS id) AS a; COMMIT; CREATE TABLE more (id int); SELECT $a$'$a$ AS x FROM (SELECT 1 id",
    ],
)
def test_postgres_takes_one_statement_where_quotes_hide_the_others(on_postgres, query):
    """The database holds it, in look and read: what a regular expression takes for text is code to PostgreSQL."""
    on_postgres.run("CREATE TABLE orders (id INTEGER)", "INSERT INTO orders VALUES (1)")
    source = Table("orders", url=on_postgres.url, high_watermark="id").model_copy(update={"name": None, "query": query})
    for use in (source.look, lambda: source.read("0-start--000001")):
        with pytest.raises(SourceUnavailableError, match="cannot insert multiple commands into a prepared statement"):
            use()
    assert on_postgres.tables() == ["orders"]


def test_postgres_takes_percent_signs_and_quotes_of_every_kind_in_one_query(on_postgres):
    query = "SELECT 1 AS id, '100%' AS share, $$it's; fine$$ AS said, E'a\\'b' AS escaped, 'x' LIKE '%x%' AS like_x"
    source = Table("t", url=on_postgres.url, high_watermark="id").model_copy(update={"name": None, "query": query})
    assert list(source.look().ready) == ["0-start--000001"]
    row = source.read("0-start--000001").iloc[0]
    assert (row["share"], row["said"], row["escaped"], row["like_x"]) == ("100%", "it's; fine", "a'b", True)


def test_postgres_itself_refuses_a_select_that_writes(on_postgres):
    on_postgres.run(
        "CREATE TABLE orders (id INTEGER)",
        "CREATE FUNCTION add_one() RETURNS integer LANGUAGE sql AS 'INSERT INTO orders VALUES (1) RETURNING id'",
    )
    for query in (
        "SELECT add_one() AS id",
        "SELECT 1 AS id, set_config('transaction_read_only', 'off', false), add_one()",
    ):
        with pytest.raises(SourceUnavailableError, match=r"read-only transaction|read-write mode"):
            Table(url=on_postgres.url, query=query, high_watermark="id").look()
    assert on_postgres.all("SELECT count(*) FROM orders") == [(0,)]


def test_a_missing_file_of_sqlite_is_not_made(tmp_path):
    with pytest.raises(SourceUnavailableError, match=r"there is no file '.*nothing\.db'"):
        Table("orders", url=f"sqlite:///{tmp_path}/nothing.db", high_watermark="id").look()
    assert list(tmp_path.iterdir()) == []


CANARY = "c4nary-s3cret"


def everything_told(use):
    """The message, the traceback with its chain, and what is logged meanwhile."""
    heard = io.StringIO()
    handler = logging.StreamHandler(heard)
    logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        with pytest.raises(MlopsAssetsError) as raised:
            use()
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(logging.WARNING)
    return "".join(traceback.format_exception(raised.value)) + str(raised.value) + heard.getvalue()


@pytest.mark.promise(7)
@pytest.mark.fault(64)
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://me:{CANARY}@127.0.0.1:1/shop",
        f"postgresql://me@127.0.0.1:1/shop?password={CANARY}",
        f"postgresql+psycopg2://me:{CANARY}@127.0.0.1:1/shop",
        f"nothing://me:{CANARY}@127.0.0.1/shop",
        f"mysql+pymysql://me:{CANARY}@127.0.0.1:1/shop",
        f"postgresql://me:{CANARY}@127.0.0.1:port/shop",
        f"me:{CANARY}@127.0.0.1",
        f"postgresql://me:p@ss/{CANARY}@127.0.0.1:1/shop",
        f"postgresql://me:{CANARY}@127.0.0.1:1/shop?nonsense=1",
    ],
)
def test_a_url_that_does_not_work_is_told_without_its_password(url):
    source = Table("orders", url=url, high_watermark="id")
    for use in (source.look, lambda: source.read("0-start--000001")):
        told = everything_told(use)
        assert "Table 'orders'" in told
        assert CANARY not in told


def test_a_wrong_password_is_told_without_it(postgres):
    source = Table("orders", url=postgres.url(CANARY), high_watermark="id")
    told = everything_told(source.look)
    assert 'password authentication failed for user "mlops"' in told
    assert CANARY not in told


@pytest.mark.parametrize(
    "declare",
    [
        lambda url: Table("orders", url=url),
        lambda url: Table(url, high_watermark="id"),
        lambda url: Table(url, url=url, high_watermark="id"),
        lambda url: Table("orders", urll=url, high_watermark="id"),
        lambda url: Table("orders", url=[url], high_watermark="id"),
        lambda url: Table("orders", url=url, period=url),
        lambda url: Table(url=url, query=url, high_watermark="id"),
    ],
)
def test_a_wrong_declaration_is_told_without_the_password(declare):
    assert CANARY not in everything_told(lambda: declare(f"postgresql://me:{CANARY}@host/shop"))


@pytest.mark.promise(7)
@pytest.mark.fault(64)
def test_a_declared_table_shows_its_password_nowhere():
    source = Table("orders", url=f"postgresql://me:{CANARY}@host/shop", high_watermark="id")
    shown = [repr(source), str(source), source.describe(), str(source.model_dump()), source.model_dump_json()]
    assert not any(CANARY in text for text in shown)


def test_the_url_may_be_in_the_environment(orders, monkeypatch):
    source = Table("orders", url="$WAREHOUSE_URL", high_watermark="id")
    monkeypatch.delenv("WAREHOUSE_URL", raising=False)
    with pytest.raises(SourceUnavailableError, match="the environment variable 'WAREHOUSE_URL' is not set"):
        source.look()
    monkeypatch.setenv("WAREHOUSE_URL", orders.url)
    assert list(source.look().ready) == ["0-start--000002"]
    assert orders.url not in repr(source)


def test_a_missing_driver_is_told_with_what_to_install(monkeypatch):
    def no_driver(*_, **__):
        raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")

    monkeypatch.setattr(table_connection.sa, "create_engine", no_driver)
    with pytest.raises(SourceUnavailableError, match=r"needs the package 'psycopg'.*Install mlops-assets\[postgres\]"):
        Table("orders", url="postgresql://host/shop", high_watermark="id").look()


def test_a_server_that_takes_connections_and_says_nothing_ends_the_look(postgres):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://me:{CANARY}@127.0.0.1:{silent.getsockname()[1]}/shop"
        assert "timeout" in everything_told(Table("orders", url=url, high_watermark="id").look)


def test_a_look_that_lasts_is_ended_by_the_database(database, monkeypatch):
    monkeypatch.setattr("mlops_assets.sources.table.look.LOOK_SECONDS", 0.5)
    endless = "WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n) SELECT max(id) AS id FROM n"
    source = Table(url=database.url, query=endless, high_watermark="id")
    with pytest.raises(SourceUnavailableError, match=r"a look took longer than 8 s\. Add an index"):
        source.look()
