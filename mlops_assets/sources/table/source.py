"""A table or a query of a database as a source: a batch is a period, or all rows above a mark that only grows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from mlops_assets.sources.declared_fields import SourceDeclarationError, declaration_error, masked
from mlops_assets.sources.limits import Limits
from mlops_assets.sources.look import Look, Period, Recall
from mlops_assets.sources.table.query import single_select

if TYPE_CHECKING:
    import pandas as pd

_BOTH_WAYS = (
    "declare period='day' (or week, month, quarter, year; with time=, the column to divide the rows by), where a batch "
    "is all rows of a period; or high_watermark='id', a column of integers or times that only grows, where a batch is "
    "all rows that came since the last one"
)


class Table(BaseModel):
    """The rows of a table, a view or one SELECT, by SQLAlchemy; read only, in a transaction that is rolled back.

    With `period`, a batch is all rows of a period. With `high_watermark` alone, it is all rows above the batch before.
    Rows that are committed late change the mark of their batch, which is then taken in anew.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    recall: ClassVar[Recall] = "batches"

    name: str | None = Field(default=None, description="The table or view: 'orders' or 'schema.orders'.")
    url: SecretStr = Field(
        description="SQLAlchemy URL; '$NAME' names the environment variable that holds it. `postgresql://` means "
        "psycopg 3 (extra `postgres`)."
    )
    query: str | None = Field(default=None, description="One SELECT instead of a table.")
    period: Period | None = Field(default=None, description="A batch is all rows of such a period.")
    time: str | None = Field(default=None, description="Column that says when a row happened; needed with `period`.")
    high_watermark: str | None = Field(
        default=None,
        description="Column of integers or times that only grows: a batch is all rows above the batch before. With "
        "`period`: a column that grows where a row of the period changes, such as updated_at.",
    )
    limits: Limits = Field(default=Limits(), description="The largest batch that is read.")

    def __init__(self, name: str | None = None, /, **options: Any) -> None:
        try:
            super().__init__(**(options if name is None else {"name": name, **options}))
        except ValidationError as problem:
            raise declaration_error("Table", options.get("name", name), problem) from None

    @field_validator("name")
    @classmethod
    def _one_table(cls, name: str | None) -> str | None:
        parts = [] if name is None else name.split(".")
        if name is not None and (len(parts) > 2 or not all(map(str.strip, parts)) or "\0" in name or "://" in name):
            raise SourceDeclarationError(f"Table: {masked(name)} is no table; expected 'orders' or 'schema.orders'.")
        return name

    @field_validator("query")
    @classmethod
    def _one_select(cls, query: str | None) -> str | None:
        return None if query is None else single_select(query)

    @model_validator(mode="after")
    def _rows_and_batches(self) -> "Table":
        if (self.name is None) == (self.query is None):
            raise SourceDeclarationError(
                f"Table: {'neither a table nor a query' if self.name is None else 'both a table and a query'}; "
                "expected one of them: Table('orders', ...) or Table(query='SELECT ...', ...)."
            )
        if not self.url.get_secret_value().strip():
            raise SourceDeclarationError(f"{self.title}: url is empty; expected one such as '$WAREHOUSE_URL'.")
        if self.period is None and self.high_watermark is None:
            raise SourceDeclarationError(f"{self.title}: what a batch is is not declared: {_BOTH_WAYS}.")
        return self

    @property
    def title(self) -> str:
        """How messages name it, without its URL."""
        return f"Table {self.name!r:.80}" if self.name is not None else f"Table query {self.query!r:.60}"

    def with_time(self, name: str | None) -> "Table":
        """The same table with the model's column of time, where it declares none itself."""
        return self if self.time is not None or name is None else self.model_copy(update={"time": name})

    def describe(self) -> str:
        """One sentence on what a batch is."""
        if self.period is None:
            return f"{self.title}: all rows whose {self.high_watermark!r} is above the batch before are a batch."
        return f"{self.title}: all rows of one {self.period} of {self.time!r} are a batch."

    def look(self, seen: Mapping[str, str] | None = None, now: "pd.Timestamp | None" = None) -> Look:
        """Which batches are ready; SourceError, without a password, where the database cannot tell within seconds.

        `seen` has the marks of the batches known so far, "" where a batch was asked for and not taken in yet. `now` is
        in UTC without a zone; the default is the clock.
        """
        from mlops_assets.sources.table.look import look

        return look(self, seen or {}, now)

    def read(self, key: str) -> "pd.DataFrame":
        """All rows of a batch in order of time, else of the watermark; SourceError where that cannot be."""
        from mlops_assets.sources.table.read import read

        return read(self, key)
