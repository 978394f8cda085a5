"""A batch of a `Delta` table that does not fit into memory: its rows on disk, read a column at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from mlops_assets.by_column import ByColumn
from mlops_assets.disk_frame import LargeFrame
from mlops_assets.lazy import pa, pd
from mlops_assets.sources import Delta
from mlops_assets.sources.delta.opened import Opened, asked
from mlops_assets.sources.delta.periods import moments
from mlops_assets.sources.delta.read import SECONDS, framed, parts_within, selected
from mlops_assets.sources.raised import named
from mlops_assets.sources.rows import in_order


def read_rows(delta: Delta, key: str, about: str) -> pd.DataFrame | LargeFrame:
    """Return all rows of a batch as `read`; those beyond `limits.memory_mb` by column.

    `about` names the batch in messages.
    """
    with named(about):
        version, inside = selected(delta, key)
        fetched = asked(delta, lambda: _fetched(delta, version, inside), SECONDS)
        if isinstance(fetched, pa.Table):
            return framed(delta, fetched)
        return in_order(fetched, str(delta.time))


class ArrowColumns(ByColumn):
    """The columns of parts of a table, in one file of a temporary folder, which goes with the object."""

    def __init__(self, schema: pa.Schema, time: str) -> None:
        self._schema, self._time, self._rows = schema, time, 0
        self._folder = tempfile.TemporaryDirectory(prefix="mlops-assets-")
        self._path = str(Path(self._folder.name, "rows.arrow"))

    @property
    def names(self) -> Collection[str]:
        """The names of the columns, in their order."""
        names: list[str] = self._schema.names
        return names

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def write(self, parts: Iterator[pa.RecordBatch]) -> None:
        """Write all rows."""
        with pa.OSFile(self._path, "wb") as file, pa.ipc.new_file(file, self._schema) as writer:
            for part in parts:
                writer.write_batch(part)
                self._rows += part.num_rows

    def column(self, name: str) -> pd.Series[Any]:
        """Return a whole column (rows,)."""
        only = pa.ipc.IpcReadOptions(included_fields=[self._schema.get_field_index(name)])
        with pa.memory_map(self._path) as file:
            table = pa.ipc.open_file(file, options=only).read_all()
            if name == self._time:
                return moments(table.column(name)).rename(name)
            column: pd.Series[Any] = table.to_pandas(ignore_metadata=True)[name]
            return column


def _fetched(delta: Delta, version: Opened, inside: Any) -> pa.Table | ArrowColumns:
    """Return the rows, on disk once they take more than fits: at least 8 bytes for each value."""
    schema, first, size = version.rows.schema, [], 0.0
    parts = parts_within(delta, version, inside)
    for part in parts:
        first.append(part)
        size += max(part.nbytes, 8 * part.num_rows * part.num_columns) / 1e6
        if size > delta.limits.memory_mb:
            columns = ArrowColumns(schema, str(delta.time))
            columns.write(_and_then(first, parts))
            return columns
    return pa.Table.from_batches(first, schema)


def _and_then(first: list[pa.RecordBatch], parts: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    while first:
        yield first.pop(0)
    yield from parts
