"""A table or a query of a database as a source: a batch is a period, or all rows above a mark that only grows."""

from importlib import import_module
from typing import Any, ClassVar

from pydantic import Field, SecretStr, field_validator, model_validator

from mlops_assets.sources.built_in import READ_BY, BuiltIn
from mlops_assets.sources.raised import named
from mlops_assets.sources.table.query import single_select
from mlops_assets.strict_model import WrongField


class Table(BuiltIn):
    """The rows of a table, a view or one SELECT, by SQLAlchemy; read only, in a transaction that is rolled back.

    With `period`, a batch is all rows of a period. With `high_watermark` alone, it is all rows above the batch before.
    Rows that are committed late change the mark of their batch, which is then taken in anew.
    """

    kind: ClassVar[str] = "table"

    name: str | None = Field(default=None, description="The table or view: 'orders' or 'schema.orders'.")
    url: SecretStr = Field(
        description="SQLAlchemy URL; '$NAME' names the environment variable that holds it. `postgresql://` means "
        "psycopg 3 (extra `postgres`)."
    )
    query: str | None = Field(default=None, description="One SELECT instead of a table.")
    high_watermark: str | None = Field(
        default=None,
        description="Column of integers or times that only grows: a batch is all rows above the batch before. With "
        "`period`: a column that grows where a row of the period changes, such as updated_at.",
    )

    def __init__(self, name: str | None = None, /, **options: Any) -> None:
        super().__init__(name, **options)

    @field_validator("name")
    @classmethod
    def _one_table(cls, name: str | None) -> str | None:
        parts = [] if name is None else name.split(".")
        if name is not None and (len(parts) > 2 or not all(map(str.strip, parts)) or "\0" in name or "://" in name):
            raise ValueError("is not the name of a table; expected 'orders' or 'schema.orders'")
        return name

    @field_validator("query")
    @classmethod
    def _one_select(cls, query: str | None) -> str | None:
        return None if query is None else single_select(query)

    @model_validator(mode="after")
    def _rows_and_batches(self) -> "Table":
        if (self.name is None) == (self.query is None):
            raise ValueError(
                f"{'neither a table nor a query' if self.name is None else 'both a table and a query'}; "
                "expected one of them: Table('orders', ...) or Table(query='SELECT ...', ...)"
            )
        if not self.url.get_secret_value().strip():
            raise WrongField("url", "url is empty; expected one such as '$WAREHOUSE_URL'")
        if self.period is None and self.high_watermark is None:
            raise ValueError(
                "it is not declared what a batch is: declare period='day' (or week, month, quarter, year; with time=, "
                "the column to divide the rows by), where a batch is all rows of a period; or high_watermark='id', a "
                "column of integers or times that only grows, where a batch is all rows that came since the last one"
            )
        return self

    @property
    def title(self) -> str:
        """The source as messages name it, without its URL."""
        return f"Table {self.name!r:.80}" if self.name is not None else f"Table query {self.query!r:.60}"

    @property
    def batch_rule(self) -> str:  # type: ignore[override]
        """What a batch is without a period."""
        return f"all rows whose {self.high_watermark!r} is above the batch before are a batch"

    @property
    def database(self) -> str:
        """The URL of the database."""
        return self.url.get_secret_value()

    def excess_rights(self) -> list[str]:
        """Return what the role may do beyond SELECT; `SourceUnavailableError` where the database does not answer."""
        with named(self.title):
            rights: list[str] = import_module(f"{READ_BY[self.kind]}.rights").more_than_select(self)
            return rights
