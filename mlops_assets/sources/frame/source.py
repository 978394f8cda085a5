"""A Python callable as a source: it returns a DataFrame to be divided by period, or yields batches with their keys."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pydantic import Field, field_validator

from mlops_assets.callables import refuse_standard_library
from mlops_assets.errors import DeclarationError
from mlops_assets.sources.built_in import BuiltIn
from mlops_assets.sources.source import Known, name_of
from mlops_assets.strict_model import WrongField


class Frame(BuiltIn):
    """The batches that a callable gives. It is called at each look and at each read, and must be cheap enough for that.

    With `period`, it returns one DataFrame, and a batch is all rows of a period. Without, it yields (key, DataFrame).
    """

    kind: ClassVar[str] = "frame"
    batch_rule: ClassVar[str] = "each frame that it yields is a batch"

    load: Callable[[], Any] | str = Field(
        description="The callable, or its dotted name ('package.module:function'), imported when it is first needed."
    )

    def __init__(self, load: Callable[[], Any] | str | None = None, /, **options: Any) -> None:
        super().__init__(load, **options)

    @field_validator("load")
    @classmethod
    def _is_not_of_the_standard_library(cls, load: Any) -> Any:
        try:
            if isinstance(load, str):
                refuse_standard_library(load, "frame")
        except DeclarationError as error:
            raise WrongField("load", f"load: {error}") from None
        return load

    @property
    def name(self) -> str:
        """The dotted name of the callable."""
        return self.load if isinstance(self.load, str) else name_of(self.load)

    @property
    def title(self) -> str:
        """The source as messages name it."""
        return f"Frame {self.name!r}"

    def recall(self, known: Known) -> Mapping[str, str]:
        """Return nothing: what a callable returns is whole."""
        return {}

    def digest_of(self) -> Any:
        """Return what is declared, with the callable by its name: its code is not known without running it."""
        return "Frame", self.name, self.model_dump(exclude_defaults=True, exclude={"load"})
