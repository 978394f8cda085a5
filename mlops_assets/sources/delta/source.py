"""A Delta table as a source: a batch is all rows of a period."""

from importlib.util import find_spec
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from mlops_assets.errors import MlopsAssetsError
from mlops_assets.file_systems import check_place, is_local, is_url
from mlops_assets.sources.built_in import BuiltIn


class Delta(BuiltIn):
    """The rows of a Delta table, on this machine or on an object store; needs the extra `delta`.

    A batch is all rows of a period of `time`, a column of timestamps or dates, at the table's newest version. A period
    is read again when a file that holds rows of it was added or removed; the same rows are the same data version,
    however the files are cut. Credentials come from the environment, as those of a `Folder` do.
    """

    kind: ClassVar[str] = "delta"

    path: str = Field(
        description="The table: a folder, relative to the working directory, or 's3://bucket/bikes', "
        "'gs://bucket/bikes', 'abfs://container/bikes'."
    )

    def __init__(self, path: str | None = None, /, **options: Any) -> None:
        super().__init__(path, **options)

    @field_validator("path")
    @classmethod
    def _names_a_table(cls, path: str) -> str:
        if is_url(path) and is_local(path):
            raise ValueError("begins with 'file:'; expected a folder of this machine without it, or s3://bucket/bikes")
        try:
            check_place(path)
        except MlopsAssetsError as problem:
            raise ValueError(str(problem)) from None
        if not path.strip() or "\0" in path:
            raise ValueError("names no table; expected a folder, or a URL such as s3://bucket/bikes")
        return path.strip().rstrip("/") or "/"

    @model_validator(mode="after")
    def _can_be_read(self) -> "Delta":
        if self.period is None:
            raise ValueError(
                "it is not declared what a batch is: declare period='day' (or week, month, quarter, year), where a "
                "batch is all rows of a period of time=, a column of timestamps or dates"
            )
        if find_spec("deltalake") is None:
            raise ValueError("needs the package 'deltalake', which is not installed: pip install 'mlops-assets[delta]'")
        return self

    @property
    def title(self) -> str:
        """The source as messages name it; a URL that is declared holds nothing secret."""
        return f"Delta {self.path!r:.120}"
