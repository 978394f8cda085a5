"""A batch of a `Table` that does not fit into memory: its rows on disk, read a column at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from mlops_assets import disk_frame
from mlops_assets.by_column import Derived
from mlops_assets.disk_frame import LargeFrame
from mlops_assets.disk_pieces import DiskPieces
from mlops_assets.lazy import pd
from mlops_assets.sources.raised import named
from mlops_assets.sources.rows import in_order
from mlops_assets.sources.table.read import fetched, framed, ordering, selected, typed
from mlops_assets.sources.table.source import Table


def read_rows(table: Table, key: str, about: str) -> pd.DataFrame | LargeFrame:
    """Return all rows of a batch as `read`; those beyond `limits.memory_mb` by column.

    `about` names the batch in messages.
    """
    with named(about):
        with selected(table, key) as (rows, inside):
            frames, on_disk = _gathered(fetched(table, rows, inside), table.limits.memory_mb)
        if on_disk is None:
            return framed(table, frames, rows.dated)
        return in_order(TableColumns(on_disk, table, rows.dated), ordering(table, rows.columns))


class TableColumns(Derived):
    """The columns of fetched rows, in kinds that pandas can work with."""

    def __init__(self, fetched: DiskPieces, table: Table, dated: Collection[str]) -> None:
        super().__init__(fetched)
        self._table, self._dated = table, dated

    def column(self, name: str) -> pd.Series[Any]:
        """Return a whole column (rows,)."""
        return typed(self._frame.column(name), self._table, self._dated)


def _gathered(
    parts: Iterable[tuple[pd.DataFrame, float]], memory_mb: float
) -> tuple[list[pd.DataFrame], DiskPieces | None]:
    """Return frames, each given with the MB that it and those before it take; on disk where they do not fit."""
    frames: list[pd.DataFrame] = []
    on_disk: DiskPieces | None = None
    for frame, size in parts:
        frames.append(frame)
        if size > memory_mb and (on_disk is None or sum(map(len, frames)) >= disk_frame.ROWS_AT_ONCE):
            on_disk = on_disk or DiskPieces()
            on_disk.append(frames)
            frames = []
    if on_disk is not None and frames:
        on_disk.append(frames)
    return frames, on_disk
