"""A batch of a Delta table that does not fit into memory: the rows on disk are those that are read whole."""

import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from deltalake import write_deltalake

from mlops_assets import Delta, Limits, disk_frame
from mlops_assets.by_column import ByColumn
from mlops_assets.errors import SourceError
from mlops_assets.sources.data_version import row_hashes, row_hashes_by_column
from mlops_assets.sources.delta import read as read_module
from mlops_assets.sources.reading import read_rows
from support.both_ways import read_both_ways

ROWS = 40
VALUES = {
    "int8": (pa.int8(), lambda n: n),
    "int64": (pa.int64(), lambda n: 2**60 + n),
    "float32": (pa.float32(), lambda n: n / 3),
    "float64": (pa.float64(), lambda n: n / 3),
    "decimal": (pa.decimal128(12, 2), lambda n: decimal.Decimal(n) / 4),
    "bool": (pa.bool_(), lambda n: n % 3 == 0),
    "string": (pa.string(), lambda n: ("red", "blue", "gr\u00fcn")[n % 3]),
    "binary": (pa.binary(), lambda n: b"\xff%d" % n),
    "date": (pa.date32(), lambda n: datetime.date(2023, 1, 1 + n % 28)),
    "timestamp": (pa.timestamp("us", "UTC"), lambda n: datetime.datetime(2023, 1, 1 + n % 28, tzinfo=datetime.UTC)),
    "list": (pa.list_(pa.int64()), lambda n: [n, n]),
    "empty": (pa.float64(), lambda n: None),
}
GAPS = {"none": [], "first": range(9), "some": range(3, ROWS, 5), "all": range(ROWS)}


@pytest.fixture(autouse=True)
def few_rows_at_once(monkeypatch):
    monkeypatch.setattr(disk_frame, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(read_module, "_PART", 6)


def table(gaps, times, without=()):
    columns = {
        f"{name}, {gap}": pa.array([None if n in GAPS[gap] else value(n) for n in range(ROWS)], kind)
        for name, (kind, value) in VALUES.items()
        if name not in without
        for gap in gaps
    }
    return pa.table({"t": pa.array(times), **columns})


def both(path, key="2024-01", **options):
    return read_both_ways(Delta(str(path), period="month", time="t", **options), key)


def assert_same(outcomes):
    whole, disk = outcomes
    for one, other in zip(disk[:2], whole[:2], strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert disk[2:] == whole[2:]


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("kind", ["UTC", "no zone", "date"])
def test_types_order_and_version_are_those_of_reading_whole(tmp_path, kind, gap):
    random = np.random.default_rng(0)
    days = pd.Timestamp("2024-01-30") + pd.to_timedelta(random.integers(0, 4, ROWS), unit="D")  # many are equal
    times = {
        "UTC": lambda: days.tz_localize("UTC").as_unit("us"),
        "no zone": lambda: days.as_unit("us"),
        "date": lambda: list(days.date),
    }[kind]()
    for part in (slice(0, 13), slice(13, ROWS)):
        rows = table([gap], times)[part.start : part.stop]
        write_deltalake(str(tmp_path / "t"), rows, mode="append")
    assert_same(both(tmp_path / "t"))
    assert_same(both(tmp_path / "t", "2024-02"))


def test_partitions_and_rows_alike_are_read_as_whole(tmp_path):
    times = pd.DatetimeIndex(["2024-01-05"] * ROWS, tz="UTC").as_unit("us")
    rows = table(["none", "some"], times, without=["list"])
    for by in ("string, none", "int8, none"):
        path = tmp_path / by[:3]
        write_deltalake(str(path), rows, partition_by=[by])
        write_deltalake(str(path), rows, mode="append")
        assert_same(both(path))


def test_limits_hold_on_disk(tmp_path):
    times = pd.DatetimeIndex(["2024-01-05"] * ROWS, tz="UTC").as_unit("us")
    write_deltalake(str(tmp_path / "t"), table(["none"], times))
    for limits in ({"max_rows": 39}, {"max_columns": 12}, {"max_mb": 0.002}):
        delta = Delta(str(tmp_path / "t"), period="month", time="t", limits=Limits(**limits, memory_mb=1e-6))
        with pytest.raises(SourceError) as on_disk:
            read_rows(delta, "2024-01")
        with pytest.raises(SourceError) as whole:
            delta.read("2024-01")
        assert str(on_disk.value) == str(whole.value)
    assert both(tmp_path / "t", "2024-03")[0] == both(tmp_path / "t", "2024-03")[1]


@pytest.mark.parametrize("extra", [None, [[1], [2], None], [object(), 1, None], ["\ud800", "a", None]])
def test_hashes_of_rows_are_those_of_pandas(extra):
    frame = pd.DataFrame({"x": [1.5, np.nan, 2], "s": ["a", None, "b"], "n": [1, 2, 3]})
    frame["o"] = pd.Series(extra or [True, False, None], dtype=object)
    for names in (["n"], ["x", "s"], list(frame)):
        assert row_hashes_by_column(_InMemory(frame[names])).tolist() == row_hashes(frame[names]).tolist()


class _InMemory(ByColumn):
    def __init__(self, frame):
        self._frame = frame

    @property
    def names(self):
        return list(self._frame)

    def __len__(self):
        return len(self._frame)

    def column(self, name):
        return self._frame[name]
