"""What the role of a table may do beyond SELECT is told, and nothing of one that may only SELECT."""

from types import SimpleNamespace

import pytest

from mlops_assets.cli.doctor.databases import roles
from mlops_assets.sources import Table
from mlops_assets.sources.table.rights import more_than_select


@pytest.fixture
def reader(on_postgres):
    """The database, and the URL of a role that may only SELECT."""
    name = f"reader_{on_postgres.url.rpartition('/')[2]}"
    on_postgres.run(
        'CREATE SCHEMA "My shop"',
        'CREATE TABLE "My shop"."Orders" (id INTEGER)',
        "CREATE TABLE orders (id INTEGER)",
        f"CREATE ROLE {name} LOGIN PASSWORD 'pw'",
        f'GRANT USAGE ON SCHEMA "My shop" TO {name}',
        f'GRANT SELECT ON orders, "My shop"."Orders" TO {name}',
    )
    yield on_postgres, name, f"postgresql://{name}:pw@{on_postgres.url.rpartition('@')[2]}"
    on_postgres.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def test_each_right_beyond_select_is_told_of_the_table_and_for_a_query_of_all(reader):
    database, name, url = reader
    there, other = (Table(table, url=url, high_watermark="id") for table in ("orders", "My shop.Orders"))
    query = Table(url=url, query="SELECT id FROM orders", high_watermark="id")
    assert [more_than_select(each) for each in (there, other, query)] == [[], [], []]
    assert [each.severity for each in roles([SimpleNamespace(source=there, outcomes=query)])] == ["fine", "fine"]

    database.run(f'GRANT UPDATE, DELETE ON "My shop"."Orders" TO {name}')
    told = [f'may {right} on "My shop"."Orders"' for right in ("DELETE", "UPDATE")]
    assert [sorted(more_than_select(each)) for each in (there, other, query)] == [[], told, told]

    database.run(f"GRANT CREATE ON SCHEMA public TO {name}", f"GRANT pg_write_server_files TO {name}")
    assert more_than_select(there) == ["may CREATE in schema public", "is a member of pg_write_server_files"]


def test_what_a_function_of_a_query_does_in_the_transaction_is_rolled_back(reader):
    database, _, url = reader
    query = Table(url=url, query="SELECT 1 AS id, lo_from_bytea(0, 'x') AS written", high_watermark="id")
    assert len(query.read(*query.look().ready)) == 1
    assert database.all("SELECT count(*) FROM pg_largeobject_metadata") == [(0,)]


def test_the_doctor_names_a_superuser_and_no_password(on_postgres, tmp_path):
    on_postgres.run("CREATE TABLE orders (id INTEGER)")
    table = Table("orders", url=on_postgres.url, high_watermark="id")
    away = Table("orders", url="postgresql://me:c4nary@127.0.0.1:1/shop", high_watermark="id")
    found = list(roles([SimpleNamespace(source=table, outcomes=None), SimpleNamespace(source=away, outcomes=table)]))
    assert [(each.name, each.severity) for each in found] == [("role of Table 'orders'", "advice")] * 2
    assert found[0].found == "the role is a superuser" and "may only SELECT" in found[0].mend
    assert "c4nary" not in str(found)


def test_other_databases_have_no_such_rights(on_sqlite):
    on_sqlite.run("CREATE TABLE orders (id INTEGER)")
    assert more_than_select(Table("orders", url=on_sqlite.url, high_watermark="id")) == []
