"""A folder as a source: each file is a batch or, with a declared period, all rows of a day, week, month and so on."""

import codecs
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mlops_assets.sources.declared_fields import SourceDeclarationError, declaration_error
from mlops_assets.sources.folder.listing import fixed_root
from mlops_assets.sources.limits import Limits
from mlops_assets.sources.look import Look, Period, Recall

if TYPE_CHECKING:
    import pandas as pd


class Folder(BaseModel):
    """The files that a glob names: .csv, .csv.gz and .parquet.

    A file is read once it has been the same at two looks, or once `<file>.done` stands beside it.
    Times without a zone are taken as UTC where they are compared with the clock.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    recall: ClassVar[Recall] = "files"

    path: str = Field(description="Glob of the files, such as 'data/bike/*.csv'; relative to the working directory.")
    period: Period | None = Field(
        default=None, description="A batch is all rows of such a period, over all files; None: a batch is a file."
    )
    time: str | None = Field(default=None, description="Column that says when a row happened; needed with `period`.")
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
    limits: Limits = Field(default=Limits(), description="The largest file that is read.")
    marker: bool = Field(default=False, description="Wait for `<file>.done` however long a file has been unchanged.")

    def __init__(self, path: str | None = None, /, **options: Any) -> None:
        try:
            super().__init__(**(options if path is None else {"path": path, **options}))
        except ValidationError as problem:
            raise declaration_error("Folder", options.get("path", path), problem) from None

    @field_validator("path")
    @classmethod
    def _local(cls, path: str) -> str:
        scheme = re.match(r"\s*([A-Za-z][A-Za-z0-9+.-]+):", path)
        if scheme:
            raise SourceDeclarationError(
                f"Folder: path begins with {scheme.group(1) + ':'!r}; expected a path of this machine, such as "
                "'data/bike/*.csv'. Mount or copy the files, or load them in a Frame."
            )
        if not path.strip() or "\0" in path or not fixed_root(path)[1]:
            raise SourceDeclarationError(
                f"Folder: path {path!r:.80} names no files; expected a glob such as 'data/bike/*.csv'."
            )
        return path

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        try:
            codecs.getincrementaldecoder(encoding)
        except LookupError:
            raise SourceDeclarationError(
                f"Folder: unknown encoding {encoding!r:.80}; expected one such as 'utf-8' or 'cp1252'."
            ) from None
        return encoding

    @model_validator(mode="after")
    def _marks_differ(self) -> "Folder":
        marks = [mark for mark in (self.delimiter, self.decimal, self.thousands) if mark is not None]
        if len(set(marks)) < len(marks):
            raise SourceDeclarationError(
                f"Folder: delimiter {self.delimiter!r}, decimal {self.decimal!r} and thousands {self.thousands!r} need "
                "to differ. Declare what the files use."
            )
        return self

    def with_time(self, name: str | None) -> "Folder":
        """The same folder with the model's column of time, where it declares none itself."""
        return self if self.time is not None or name is None else self.model_copy(update={"time": name})

    def describe(self) -> str:
        """One sentence on what a batch is."""
        if self.period is None:
            return f"Folder {self.path!r}: each file is a batch."
        return f"Folder {self.path!r}: all rows of one {self.period} of {self.time!r} are a batch."

    def look(self, seen: Mapping[str, str] | None = None, now: "pd.Timestamp | None" = None) -> Look:
        """Which batches are ready; without a period no file is opened.

        `seen` is what the last look gave. Without it, a file is ready 10 s after its last change. `now` is in UTC
        without a zone; the default is the clock.
        """
        from mlops_assets.sources.folder.look import look

        return look(self, seen, now)

    def read(self, key: str) -> "pd.DataFrame":
        """All rows of a batch; SourceError naming the batch, the file, what is wrong and what to do."""
        from mlops_assets.sources.folder.read import read

        return read(self, key)
