"""A batch of a folder that does not fit into memory: the rows on disk are those that are read whole."""

import numpy as np
import pandas as pd
import pytest

from mlops_assets import disk_frame
from mlops_assets.disk_frame import LargeFrame
from mlops_assets.sources import Folder, Limits
from mlops_assets.sources.data_version import data_version
from mlops_assets.sources.reading import read_rows
from mlops_assets.validation.plain_columns import plain_columns, plain_on_disk
from support.types_of_columns import NOT_PARQUET, TYPES

SMALL, NO = Limits(memory_mb=1e-6), Limits()


@pytest.fixture(autouse=True)
def few_rows_at_once(monkeypatch):
    monkeypatch.setattr(disk_frame, "ROWS_AT_ONCE", 7)


def with_gaps(name, gap):
    column = TYPES[name][0]()
    if gap == "none":
        return column
    column = (
        column.astype(object) if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biu" else column.copy()
    )
    column.iloc[{"first": slice(0, 9), "some": slice(3, None, 5), "last": slice(30, None)}[gap]] = None
    return column


@pytest.mark.parametrize("gap", ["none", "first", "some", "last"])
@pytest.mark.parametrize("name", sorted(set(TYPES) - NOT_PARQUET))
def test_rows_and_version_are_those_of_reading_whole(tmp_path, name, gap):
    frame = pd.DataFrame({"n": range(len(with_gaps(name, gap))), "x": with_gaps(name, gap)})
    frame.to_parquet(tmp_path / "a.parquet", row_group_size=11)
    folder = Folder(str(tmp_path / "*.parquet"))
    whole, faults = plain_columns(read_rows(folder, "a"))
    rows = read_rows(folder.model_copy(update={"limits": SMALL}), "a")
    assert isinstance(rows, LargeFrame)
    on_disk, other_faults = plain_on_disk(rows)
    assert other_faults == faults
    pd.testing.assert_frame_equal(on_disk[list(on_disk.columns)], whole)
    pd.testing.assert_frame_equal(pd.concat(list(on_disk.chunks())), whole)
    assert [len(chunk) for chunk in on_disk.chunks()] == [7] * 5 + [5]
    assert data_version(on_disk) == data_version(whole)
