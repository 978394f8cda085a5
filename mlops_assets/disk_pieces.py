"""Frames that together do not fit into memory: on disk as they are, and put together a column at a time."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from mlops_assets.by_column import ByColumn
from mlops_assets.disk_frame import LargeFrame
from mlops_assets.lazy import pd


class DiskPieces(ByColumn):
    """The rows of several frames, in a temporary folder of this process, which goes with the object.

    A column is what `pd.concat` of the frames gives, whatever Python objects are in it.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mlops-assets-")
        self._rows: list[list[int]] = []
        self._files: dict[str, dict[int, Path]] = {}

    @property
    def names(self) -> Collection[str]:
        """The names of the columns, in their order."""
        return self._files

    def __len__(self) -> int:
        """Return the number of rows."""
        return sum(map(sum, self._rows))

    def append(self, frames: Sequence[pd.DataFrame | LargeFrame]) -> None:
        """Add rows; those of several frames lie in one file for each column."""
        number = len(self._rows)
        names = dict.fromkeys(str(name) for frame in frames for name in frame.columns)
        for name in names:
            alone = [frame[[name]] if name in frame.columns else _no_columns(len(frame)) for frame in frames]
            places = self._files.setdefault(name, {})
            places[number] = Path(self._folder.name, f"{number}-{list(self._files).index(name)}.pickle")
            with places[number].open("wb") as file:
                pickle.dump(alone, file, protocol=pickle.HIGHEST_PROTOCOL)
        self._rows.append([len(frame) for frame in frames])

    def column(self, name: str) -> pd.Series[Any]:
        """Return a whole column (rows,)."""
        column: pd.Series[Any] = pd.concat(list(self._pieces(name)), ignore_index=True)[name]
        return column

    def _pieces(self, name: str) -> Iterator[pd.DataFrame]:
        for number, rows in enumerate(self._rows):
            path = self._files[name].get(number)
            if path is None:
                yield from map(_no_columns, rows)
            else:
                with path.open("rb") as file:
                    yield from pickle.load(file)


def _no_columns(rows: int) -> pd.DataFrame:
    return pd.DataFrame(index=pd.RangeIndex(rows))
