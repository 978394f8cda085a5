"""Create the tables of records and of revisions of release 0.1.0."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "mlops_assets_records",
        sa.Column("model", sa.String(200), primary_key=True),
        sa.Column("kind", sa.String(100), primary_key=True),
        sa.Column("key", sa.String(300), primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("format", sa.Integer, nullable=False),
        sa.Column("written", sa.Float(53), nullable=False),
        sa.Column("value", sa.Text, nullable=True),
    )
    op.create_index("mlops_assets_records_since", "mlops_assets_records", ["kind", "model", "revision"])
    op.create_table(
        "mlops_assets_revisions",
        sa.Column("model", sa.String(200), primary_key=True),
        sa.Column("kind", sa.String(100), primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
