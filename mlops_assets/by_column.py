"""Large frames that are read a column at a time, and in no other way."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from mlops_assets.disk_frame import LargeFrame
from mlops_assets.lazy import pd


class ByColumn(LargeFrame):
    """A frame whose columns are read whole, as a source gives them; the dtype of each is known once it is read."""

    @property
    @abstractmethod
    def names(self) -> Collection[str]:
        """The names of the columns, in their order."""

    @property
    def dtypes(self) -> dict[str, Any]:
        """The names of the columns, with None in the place of their dtypes."""
        return dict.fromkeys(self.names)

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Yield all rows of these columns, or of all, at once."""
        yield self[list(self.names if columns is None else columns)]


class Derived(ByColumn):
    """A frame with the columns and the number of rows of another; a subclass says what is in a column."""

    def __init__(self, frame: ByColumn) -> None:
        self._frame = frame

    @property
    def names(self) -> Collection[str]:
        """The names of the columns, in their order."""
        return self._frame.names

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._frame)
