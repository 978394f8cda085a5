"""A folder as a source: each file is a batch or, with a declared period, all rows of a day, week, month and so on."""

import codecs
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator, model_validator

from mlops_assets.sources.built_in import BuiltIn
from mlops_assets.sources.folder.declared_path import checked_path
from mlops_assets.sources.folder.memory import files_to_keep, files_to_recall
from mlops_assets.sources.look import Look
from mlops_assets.sources.source import Known


class Folder(BuiltIn):
    """The files that a glob names, on this machine or on an object store: .csv, .csv.gz and .parquet.

    A file is read once it has been the same at two looks, or once `<file>.done` stands beside it. An object is copied
    to a temporary file first; one that is replaced meanwhile is read again. Credentials and endpoint of a store come
    from the environment, such as `AWS_ACCESS_KEY_ID`, `AZURE_STORAGE_ACCOUNT_NAME` or Google's default credentials.
    Times without a zone are taken as UTC where they are compared with the clock.
    """

    kind: ClassVar[str] = "folder"
    batch_rule: ClassVar[str] = "each file is a batch"

    path: str = Field(
        description="Glob of the files, such as 'data/bike/*.csv', relative to the working directory; "
        "or 's3://bucket/bike/*.csv', 'gs://bucket/..', 'abfs://container/..'."
    )
    encoding: str = Field(
        default="utf-8-sig", description="Encoding of CSV files; the default reads UTF-8 with or without BOM."
    )
    delimiter: str = Field(default=",", min_length=1, max_length=1, description="Delimiter of CSV files.")
    na_values: list[str] = Field(
        default=[], description="Texts in CSV files that mean missing, besides those of pandas."
    )
    keep_default_na: bool = Field(
        default=True,
        description="Whether NA, None, null, nan and their like mean missing in CSV files; an empty cell always does.",
    )
    decimal: str = Field(
        default=".", min_length=1, max_length=1, description="Decimal mark of numbers in CSV files, such as ','."
    )
    thousands: str | None = Field(
        default=None, min_length=1, max_length=1, description="Mark between thousands in CSV files, such as '.'."
    )
    time_format: str | None = Field(
        default=None,
        description="How `time` is written, such as '%d/%m/%Y'; needed where it can be read in two ways.",
    )
    dtypes: dict[str, str] = Field(default={}, description="pandas dtype of a column, where it is not to be inferred.")
    marker: bool = Field(default=False, description="Wait for `<file>.done` however long a file has been unchanged.")

    def __init__(self, path: str | None = None, /, **options: Any) -> None:
        super().__init__(path, **options)

    @field_validator("path")
    @classmethod
    def _names_files(cls, path: str) -> str:
        return checked_path(path)

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        try:
            codecs.getincrementaldecoder(encoding)
        except LookupError:
            raise ValueError("is not an encoding that Python knows; expected one such as 'utf-8' or 'cp1252'") from None
        return encoding

    @model_validator(mode="after")
    def _marks_differ(self) -> "Folder":
        marks = [mark for mark in (self.delimiter, self.decimal, self.thousands) if mark is not None]
        if len(set(marks)) < len(marks):
            raise ValueError(
                f"delimiter {self.delimiter!r}, decimal {self.decimal!r} and thousands {self.thousands!r} need to "
                "differ; declare what the files use"
            )
        return self

    @property
    def title(self) -> str:
        """The source as messages name it; a URL that is declared holds nothing secret."""
        return f"Folder {self.path!r:.120}"

    def __hash__(self) -> int:
        """Return a hash, which a declaration with lists has not by itself: the periods of a file are kept by it."""
        return hash((self.path, self.time, self.period))

    def recall(self, known: Known) -> Mapping[str, str]:
        """Return the marks of the files at the last look."""
        return files_to_recall(known, None if self.period is None else lambda: self.look({}).seen)

    def keep(self, look: Look, known: Known) -> tuple[dict[str, str], str]:
        """Return the marks of the files that were not taken in yet."""
        return files_to_keep(look, known, self.period is not None)

    def inferred(self, columns: Iterable[str]) -> set[str]:
        """Return the columns of CSV files that have no declared dtype."""
        return set() if self.path.endswith(".parquet") else {name for name in columns if name not in self.dtypes}
