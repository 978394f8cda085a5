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
