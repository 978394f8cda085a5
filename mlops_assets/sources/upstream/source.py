"""An asset that the project already has as a source: its materialisation drives ours."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mlops_assets.sources.declared_fields import SourceDeclarationError, declaration_error
from mlops_assets.sources.limits import Limits
from mlops_assets.sources.look import Period, Recall


class UpstreamAsset(BaseModel):
    """An asset of the same code location that gives DataFrames, loaded through its own IO manager.

    Where it is partitioned, each materialised partition is a batch. Else each materialisation is one or, with
    `period`, a batch is all rows of a period.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    recall: ClassVar[Recall] = "batches"

    key: str = Field(description="Key of the asset: 'lake/rentals', or its parts as a list.")
    period: Period | None = Field(
        default=None, description="A batch is all rows of such a period; for an asset without partitions."
    )
    time: str | None = Field(default=None, description="Column that says when a row happened; needed with `period`.")
    limits: Limits = Field(default=Limits(), description="The largest batch that is taken.")

    def __init__(self, key: str | list[str] | None = None, /, **options: Any) -> None:
        try:
            super().__init__(**(options if key is None else {"key": key, **options}))
        except ValidationError as problem:
            raise declaration_error("UpstreamAsset", options.get("key", key), problem) from None

    @field_validator("key", mode="before")
    @classmethod
    def _one_text(cls, key: Any) -> Any:
        if isinstance(key, list | tuple) and key and all(isinstance(part, str) for part in key):
            key = "/".join(key)
        if isinstance(key, str) and not all(part.strip() for part in key.split("/")):
            raise SourceDeclarationError(
                f"UpstreamAsset: {key!r:.80} is no key of an asset; expected one such as 'lake/rentals'."
            )
        return key

    @property
    def parts(self) -> list[str]:
        """The parts of the key."""
        return self.key.split("/")

    @property
    def title(self) -> str:
        """How messages name it."""
        return f"UpstreamAsset {self.key!r:.120}"

    def with_time(self, name: str | None) -> "UpstreamAsset":
        """The same asset with the model's column of time, where it declares none itself."""
        return self if self.time is not None or name is None else self.model_copy(update={"time": name})

    def describe(self) -> str:
        """One sentence on what a batch is."""
        if self.period is None:
            return f"{self.title}: each materialised partition, or without partitions each materialisation, is a batch."
        return f"{self.title}: all rows of one {self.period} of {self.time!r} are a batch."
