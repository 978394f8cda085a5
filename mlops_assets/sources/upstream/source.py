"""An asset that the project already has as a source: its materialisation drives ours."""

from typing import Any, ClassVar, Self

from pydantic import Field, PrivateAttr, field_validator

from mlops_assets.errors import SourceUnavailableError
from mlops_assets.sources.assets import Assets
from mlops_assets.sources.built_in import BuiltIn


class UpstreamAsset(BuiltIn):
    """An asset of the same code location that gives DataFrames, loaded through its own IO manager.

    Where it is partitioned, each materialised partition is a batch. Else each materialisation is one or, with
    `period`, a batch is all rows of a period.
    """

    kind: ClassVar[str] = "asset"
    batch_rule: ClassVar[str] = "each materialised partition, or without partitions each materialisation, is a batch"

    key: str = Field(description="Key of the asset: 'lake/rentals', or its parts as a list.")
    _assets: Assets | None = PrivateAttr(None)

    def __init__(self, key: str | list[str] | None = None, /, **options: Any) -> None:
        super().__init__(key, **options)

    @field_validator("key", mode="before")
    @classmethod
    def _is_one_text(cls, key: Any) -> Any:
        if isinstance(key, list | tuple) and key and all(isinstance(part, str) for part in key):
            key = "/".join(key)
        if isinstance(key, str) and not all(part.strip() for part in key.split("/")):
            raise ValueError("is not the key of an asset; expected one such as 'lake/rentals'")
        return key

    @property
    def asset_key(self) -> str:
        """The asset that the source reads."""
        return self.key

    def within(self, assets: Assets) -> Self:
        """Return the source with access to the assets of the project."""
        source = self.model_copy()
        source._assets = assets
        return source

    @property
    def assets(self) -> Assets:
        """The assets of the project; SourceUnavailableError outside of a sensor or run of Dagster."""
        if self._assets is None:
            raise SourceUnavailableError("only a sensor or a run of Dagster can read it")
        return self._assets
