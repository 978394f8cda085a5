"""Run the migrations on the connection that `migrate` gives to Alembic, inside its transaction."""

from alembic import context

from mlops_assets.records.migrate import VERSIONS

context.configure(connection=context.config.attributes["connection"], version_table=VERSIONS)
context.run_migrations()
