"""The tables of the database of records, as the newest migration leaves them."""

import sqlalchemy as sa

TABLES = sa.MetaData()

RECORDS = sa.Table(
    "mlops_assets_records",
    TABLES,
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(100), primary_key=True),
    sa.Column("key", sa.String(300), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("format", sa.Integer, nullable=False),
    sa.Column("written", sa.Float(53), nullable=False),
    sa.Column("value", sa.Text, nullable=True),
    sa.Index("mlops_assets_records_since", "kind", "model", "revision"),
)
"""One row for each record. `written` is in seconds since 1970, UTC; `value` is JSON, NULL for a withdrawn record."""

COUNTERS = sa.Table(
    "mlops_assets_revisions",
    TABLES,
    sa.Column("model", sa.String(200), primary_key=True),
    sa.Column("kind", sa.String(100), primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
)
"""The newest revision of each kind of each model, moved in the transaction that writes. An identity column may give
lower numbers to later commits, which a reader of "greater than the last I saw" would miss."""
