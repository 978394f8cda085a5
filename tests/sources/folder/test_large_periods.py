"""Periods of a folder whose files do not fit into memory: the rows are those of files that are read whole."""

import gzip

import pandas as pd
import pytest

from mlops_assets import disk_frame
from mlops_assets.disk_frame import LargeFrame
from mlops_assets.errors import SourceError
from mlops_assets.sources import Folder, Limits
from mlops_assets.sources.reading import read_rows
from support.types_of_columns import NOT_PARQUET, ROWS, TYPES

DAYS = pd.date_range("2024-01-20", periods=ROWS, freq="16h").as_unit("us")


@pytest.fixture(autouse=True)
def few_rows_at_once(monkeypatch):
    monkeypatch.setattr(disk_frame, "ROWS_AT_ONCE", 7)


def outcome(folder, key, memory_mb):
    try:
        folder = folder.model_copy(update={"limits": folder.limits.model_copy(update={"memory_mb": memory_mb})})
        rows = read_rows(folder, key)
        assert isinstance(rows, LargeFrame) == (memory_mb < 1)
        return len(rows), rows[list(rows.columns)]
    except SourceError as problem:
        return str(problem)


def assert_same(folder, key, memory_mb=1e-6):
    whole, disk = outcome(folder, key, 1e6), outcome(folder, key, memory_mb)
    if isinstance(whole, str) or isinstance(disk, str):
        assert disk == whole
        return
    pd.testing.assert_frame_equal(disk[1], whole[1])
    assert disk[0] == whole[0] == len(whole[1])


def types(gaps):
    """Columns of all types that parquet holds, in each the rows of `gaps` missing."""
    columns = {}
    for name in sorted(set(TYPES) - NOT_PARQUET - {"arrow struct"}):  # refused; Arrow's 1 may be 1.0 in it
        column = TYPES[name][0]()
        plain = getattr(column.dtype, "kind", "") in "biu" and not pd.api.types.is_extension_array_dtype(column)
        column = column.astype(object) if plain and gaps else column.copy()
        for row in gaps:
            column.iloc[row] = None
        columns[name] = column
    return pd.DataFrame({"at": DAYS, **columns})


@pytest.mark.parametrize("place", ["none", "in January", "in one file"])
def test_parquet_files_of_all_types(tmp_path, place):
    gaps = {"none": [], "in January": range(9), "in one file": range(1, ROWS, 2)}
    frame = types(gaps[place])
    frame[::2].to_parquet(tmp_path / "a.parquet", row_group_size=6)
    frame[1::2].drop(columns=["bool", "int8", "string", "naive"]).to_parquet(tmp_path / "b.parquet")
    frame[1::3].assign(at=DAYS[1::3].tz_localize("UTC"), uint64="text", extra=1).to_parquet(tmp_path / "c.parquet")
    folder = Folder(str(tmp_path / "*.parquet"), time="at", period="month")
    for key in ("2024-01", "2024-02"):
        assert_same(folder, key)
    assert_same(folder, "2024-01", memory_mb=0.015)  # one file of 20 rows fits


CSV = {
    "numbers, texts later": lambda n: str(n) if n < 25 else f"x{n}",
    "texts, numbers later": lambda n: f"x{n}" if n < 15 else str(n),
    "gaps later": lambda n: str(n) if n < 25 else "",
    "floats between": lambda n: str(n / 2) if n % 3 == 1 else str(n),
    "booleans": lambda n: str(n % 2 == 0) if n % 5 else "",
    "one value": lambda n: "1.5" if n == 17 else "",
    "long integers": lambda n: str(2**64 - n) if n % 4 else "-1",
    "quoted": lambda n: f'"a ""{n}"", b"',
}


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_csv_files(tmp_path, name):
    def lines(rows, columns):
        return [",".join([str(DAYS[n]), *(CSV[column](n) for column in columns)]) for n in rows]

    halves = {name: (range(0, ROWS, 2), list(CSV)), name.replace("a", "b"): (range(1, ROWS, 2), list(CSV)[2:])}
    for file, (rows, columns) in halves.items():
        header = ",".join(["at", *(f'"{column}"' for column in columns)])
        content = "\n".join([header, *lines(rows, columns)]).encode() + b"\n"
        (tmp_path / file).write_bytes(gzip.compress(content) if file.endswith("gz") else content)
    folder = Folder(str(tmp_path / ("*" + name[1:])), time="at", period="month", dtypes={"one value": "str"})
    for key in ("2024-01", "2024-02", "2024-03"):
        assert_same(folder, key)
    assert_same(folder, "2024-01", memory_mb=0.002)  # the first file fits


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("at,x\n2024-01-01,1\n2024-01-02,a,b\n", "2024-01"),
        ("at,x\n" + "2024-01-01,1\n" * 7 + "2024-01-02,a,b\n", "2024-01"),
        ("at,x\n2024-01-01,1\n2024-01-02", "2024-01"),
        ("at,x\n2024-01-01,1\n2024-02-01,2\n", "2024-03"),
        ("at,x\n2024-01-01,1\n,2\n", "file-a"),
        ("day,x\n2024-01-01,1\n", "file-a"),
        ("at,x\n2024-01-01,1\n2024-02-01,text\n", "2024-01"),
    ],
)
def test_faults_of_csv_files(tmp_path, text, key):
    (tmp_path / "a.csv").write_text(text)
    folder = Folder(str(tmp_path / "*.csv"), time="at", period="month", dtypes={"x": "int64"} if "text" in text else {})
    assert_same(folder, key)


def test_a_file_beyond_the_limits_is_refused(tmp_path):
    types([]).to_parquet(tmp_path / "a.parquet")
    for limits in (Limits(max_rows=30), Limits(max_unpacked_mb=0.01), Limits(max_mb=0.001)):
        folder = Folder(str(tmp_path / "*.parquet"), time="at", period="month", limits=limits)
        assert isinstance(outcome(folder, "file-a", 1e-6), str)
        assert_same(folder, "file-a")
