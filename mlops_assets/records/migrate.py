"""The schema of the database of records, and its migration to the newest schema."""

from __future__ import annotations

from pathlib import Path

from mlops_assets.errors import RecordsError
from mlops_assets.lazy import sa

NEWEST = "0001"
"""The schema that this release reads and writes: the number of the last file in `migrations/versions`."""
VERSIONS = "mlops_assets_schema"
"""The table that names the schema. It is not Alembic's default: Dagster and MLflow may use the same database."""
_ONE_AT_A_TIME = 0x6D6C6F7073  # key of PostgreSQL's advisory lock: one process migrates at a time


def schema_of(connection: sa.Connection) -> str:
    """Return the schema of a database, "" if it has no records."""
    if not sa.inspect(connection).has_table(VERSIONS):
        return ""
    return str(connection.execute(sa.text(f"SELECT version_num FROM {VERSIONS}")).scalar() or "")


def migrate(connection: sa.Connection) -> None:
    """Bring the database forward to the newest schema, in the transaction of the connection.

    Raise `RecordsError` for a database that a newer release wrote: this release would misread it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
    now = schema_of(connection)
    check_known(now)
    if now != NEWEST:
        from alembic import command
        from alembic.config import Config

        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
        command.upgrade(config, "head")


def check_known(schema: str) -> None:
    """Raise `RecordsError` for a schema of a newer release."""
    if schema > NEWEST:
        raise RecordsError(
            f"the database of records has schema {schema}, and this release of mlops_assets knows none after "
            f"{NEWEST}: install the release that wrote it, or a newer one"
        )
