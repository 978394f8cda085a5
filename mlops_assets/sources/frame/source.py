"""A Python callable as a source: it returns a DataFrame to be divided by period, or yields batches with their keys."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mlops_assets.callables import refuse_standard_library
from mlops_assets.errors import DeclarationError
from mlops_assets.sources.declared_fields import SourceDeclarationError, declaration_error
from mlops_assets.sources.limits import Limits
from mlops_assets.sources.look import Look, Period, Recall

if TYPE_CHECKING:
    import pandas as pd


class Frame(BaseModel):
    """The batches that a callable gives. It is called at each look and at each read, and must be cheap enough for that.

    With `period`, it returns one DataFrame, and a batch is all rows of a period. Without, it yields (key, DataFrame).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)
    recall: ClassVar[Recall] = "nothing"

    load: Callable[[], Any] | str = Field(
        description="The callable, or its dotted name ('package.module:function'), imported when it is first needed."
    )
    period: Period | None = Field(default=None, description="A batch is all rows of such a period.")
    time: str | None = Field(default=None, description="Column that says when a row happened; needed with `period`.")
    limits: Limits = Field(default=Limits(), description="The largest batch that is taken.")

    def __init__(self, load: Callable[[], Any] | str | None = None, /, **options: Any) -> None:
        try:
            super().__init__(**(options if load is None else {"load": load, **options}))
        except ValidationError as problem:
            raise declaration_error("Frame", options.get("load", load), problem) from None
        if isinstance(self.load, str):
            try:
                refuse_standard_library(self.load, "frame")
            except DeclarationError as problem:
                raise SourceDeclarationError(f"Frame: load: {problem}") from None

    @property
    def name(self) -> str:
        """The dotted name of the callable."""
        if isinstance(self.load, str):
            return self.load
        return f"{getattr(self.load, '__module__', '?')}.{getattr(self.load, '__qualname__', type(self.load).__name__)}"

    @property
    def title(self) -> str:
        """How messages name it."""
        return f"Frame {self.name!r}"

    def with_time(self, name: str | None) -> "Frame":
        """The same source with the model's column of time, where it declares none itself."""
        return self if self.time is not None or name is None else self.model_copy(update={"time": name})

    def describe(self) -> str:
        """One sentence on what a batch is."""
        if self.period is None:
            return f"Frame {self.name!r}: each frame that it yields is a batch."
        return f"Frame {self.name!r}: all rows of one {self.period} of {self.time!r} are a batch."

    def look(self, seen: Mapping[str, str] | None = None, now: "pd.Timestamp | None" = None) -> Look:
        """Which batches are ready, each marked with its data version. SourceError when the callable fails.

        `seen` is not needed: what a callable returns is whole. `now` is in UTC without a zone.
        """
        from mlops_assets.sources.frame.look import look

        return look(self, now)

    def read(self, key: str) -> "pd.DataFrame":
        """All rows of a batch; SourceError when it is not there, too large or of an unsafe name."""
        from mlops_assets.sources.frame.read import read

        return read(self, key)
