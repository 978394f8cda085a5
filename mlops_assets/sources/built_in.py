"""What the five sources of the pack share: `look` and `read` in a module of their own, imported when first needed."""

import time
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar

from pydantic import Field

from mlops_assets.disk_frame import LargeFrame
from mlops_assets.errors import DeclarationError
from mlops_assets.lazy import pd
from mlops_assets.sources.look import Look, Period
from mlops_assets.sources.raised import named
from mlops_assets.sources.source import Source

READ_BY = {
    "folder": "mlops_assets.sources.folder",
    "frame": "mlops_assets.sources.frame",
    "table": "mlops_assets.sources.table",
    "delta": "mlops_assets.sources.delta",
    "asset": "mlops_assets.sources.upstream",
}
"""The package of each kind, whose modules `look` and `read` have a function of that name."""

_LARGE = ("folder", "delta", "table")
"""The kinds whose package has a module `large`, for batches that do not fit into memory."""


class BuiltIn(Source):
    """A source of the pack, whose rows may be divided by period."""

    kind: ClassVar[str]
    batch_rule: ClassVar[str]
    """What a batch is, where no period is declared."""

    period: Period | None = Field(default=None, description="A batch is all rows of such a period.")

    def __init__(self, first: Any = None, /, **options: Any) -> None:  # pydantic's plugin of mypy looks for one
        super().__init__(first, **options)

    def look(self, seen: Mapping[str, str] | None = None, now: "pd.Timestamp | None" = None) -> Look:
        """Return which batches are ready.

        `seen` is what `recall` returned. `now` is in UTC without a zone; the default is the clock.
        """
        with named(self.title):
            self._require_time()
            now = pd.Timestamp(time.time(), unit="s") if now is None else now
            look: Look = import_module(f"{READ_BY[self.kind]}.look").look(self, seen, now)
            return look

    def read(self, key: str) -> "pd.DataFrame":
        """Return all rows of a batch; SourceError says which batch, what is wrong and what to do."""
        with named(f"{self.title}: batch {key!r:.120}"):
            self._require_time()
            frame: pd.DataFrame = import_module(f"{READ_BY[self.kind]}.read").read(self, key)
            return frame

    def read_rows(self, key: str) -> "pd.DataFrame | LargeFrame":
        """Return the same rows as `read`; those beyond `limits.memory_mb` are read a column at a time."""
        if self.kind not in _LARGE or type(self).read is not BuiltIn.read:
            return self.read(key)
        about = f"{self.title}: batch {key!r:.120}"
        with named(about):
            self._require_time()
        rows: pd.DataFrame | LargeFrame = import_module(f"{READ_BY[self.kind]}.large").read_rows(self, key, about)
        return rows

    def _require_time(self) -> None:
        if self.period is not None and self.time is None:
            raise DeclarationError(
                f"period={self.period!r} needs time, the column to divide the rows by: declare it here or as the "
                "model's time"
            )

    def describe(self) -> str:
        """Return one sentence on what a batch is."""
        if self.period is None:
            return f"{self.title}: {self.batch_rule}."
        return f"{self.title}: all rows of one {self.period} of {self.time!r} are a batch."

    @property
    def divided_by(self) -> Period | None:
        """The period that rows are divided by."""
        return self.period

    def digest_of(self) -> Any:
        """Return what is declared; a default is left out, so that a new option changes nothing."""
        return type(self).__name__, "", self.model_dump(exclude_defaults=True)
