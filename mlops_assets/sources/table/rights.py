"""What the role of a `Table` may do on PostgreSQL beyond SELECT: a function with effects acts within one SELECT too."""

from __future__ import annotations

from mlops_assets.lazy import sa
from mlops_assets.sources.table.connection import LOOK_SECONDS, reading
from mlops_assets.sources.table.source import Table

_RIGHTS = sa.text(
    """
    WITH place AS (
        SELECT oid, nspname FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'
    ), rows_of AS (
        SELECT c.oid, c.oid::regclass::text AS name FROM pg_class c JOIN place ON place.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'f') AND (:name = '' OR c.oid = to_regclass(
            CASE WHEN :schema = '' THEN '' ELSE quote_ident(:schema) || '.' END || quote_ident(:name)))
    )
    SELECT 'is a superuser' FROM pg_roles WHERE rolname = current_user AND rolsuper
    UNION ALL
    SELECT 'may ' || may || ' on ' || min(name) || CASE count(*) WHEN 1 THEN '' ELSE ' and others' END
    FROM rows_of, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS may
    WHERE has_table_privilege(rows_of.oid, may) GROUP BY may
    UNION ALL
    SELECT 'may CREATE in schema ' || nspname FROM place WHERE has_schema_privilege(oid, 'CREATE')
    UNION ALL
    SELECT 'may CREATE in the database' WHERE has_database_privilege(current_database(), 'CREATE')
    UNION ALL
    SELECT 'is a member of ' || rolname FROM pg_roles
    WHERE rolname IN ('pg_write_all_data', 'pg_write_server_files', 'pg_execute_server_program')
        AND pg_has_role(current_user, oid, 'MEMBER')
    """
)


def more_than_select(table: Table) -> list[str]:
    """Return what the role may do beyond SELECT, on the table or for a query on any relation of PostgreSQL."""
    schema, _, name = (table.name or "").rpartition(".")
    with reading(table, LOOK_SECONDS) as connection:
        if connection.dialect.name != "postgresql":
            return []
        rights = [str(row[0]) for row in connection.execute(_RIGHTS, {"schema": schema, "name": name})]
    return rights[:1] if "is a superuser" in rights else rights
