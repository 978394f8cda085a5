"""A CSV file that does not fit into memory: types, rows and faults are those of the file read at once."""

import gzip

import numpy as np
import pandas as pd
import pytest

from mlops_assets import disk_frame
from mlops_assets.disk_frame import LargeFrame
from mlops_assets.errors import SourceError
from mlops_assets.sources import Folder, Limits
from mlops_assets.sources.reading import read_rows

SMALL = Limits(memory_mb=1e-6)
AT_ONCE = 7

# What stands in a column; each is tried before, within and after each other.
CELLS = {
    "integers": ["1", "-7", "007", "+5", "-0"],
    "beyond 53 bits": ["9007199254740993", "-9223372036854775807"],
    "beyond 63 bits": ["18446744073709551615"],
    "beyond 64 bits": ["1234567890123456789012"],
    "floats": ["1.5", "-0.0", "1e300", "inf", "0.1"],
    "booleans": ["True", "false", "TRUE"],
    "texts": ["red", "gr\u00fcn, hell", 'five "inches"', "two\nlines", " 1 2", "1_000"],
    "times": ["2024-01-01", "2024-05-06 07:08"],
    "missing": ["", "NA", "nan"],
    "empty": [""],
}
SHAPES = {
    "first chunk": lambda n: n < AT_ONCE,
    "row at a border": lambda n: n == 2 * AT_ONCE,
    "last row": lambda n: n == 21,
    "here and there": lambda n: n % 4 == 1,
}


@pytest.fixture(autouse=True)
def few_rows_at_once(monkeypatch):
    monkeypatch.setattr(disk_frame, "ROWS_AT_ONCE", AT_ONCE)


def quoted(cell):
    return '"' + cell.replace('"', '""') + '"' if any(sign in cell for sign in ',;"\n') else cell


def written(columns, delimiter=","):
    """A CSV file of columns of texts, each given with its name; a number of the row comes first."""
    rows = [["n", *columns], *([str(n), *row] for n, row in enumerate(zip(*columns.values(), strict=True)))]
    return "\n".join(delimiter.join(map(quoted, row)) for row in rows) + "\n"


def both(tmp_path, text, name="a.csv", **options):
    """The rows of a file read at once and on disk; or what is said of its fault."""
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    folder = Folder(str(tmp_path / ("*." + name.partition(".")[2])), **options)
    return [outcome(folder), outcome(folder.model_copy(update={"limits": with_memory(folder.limits)}))]


def with_memory(limits):
    return limits.model_copy(update={"memory_mb": 1e-6})


def outcome(folder):
    try:
        rows = read_rows(folder, "a")
        on_disk = isinstance(rows, LargeFrame)
        assert on_disk == (folder.limits.memory_mb < 1)
        assert len(rows) == len(rows[rows.columns[0]])
        return rows[list(rows.columns)]
    except SourceError as problem:
        return str(problem)


def assert_same(outcomes, what=""):
    whole, disk = outcomes
    if isinstance(whole, str) or isinstance(disk, str):
        assert disk == whole, what
        return
    pd.testing.assert_frame_equal(disk, whole, obj=str(what))
    assert [bits(disk[name]) for name in disk] == [bits(whole[name]) for name in whole], what


def bits(column):
    """The values to the last bit: -0.0 is not 0.0."""
    return column.to_numpy().tobytes() if column.dtype.kind == "f" else [*map(type, column)]


@pytest.mark.parametrize("shape", SHAPES)
def test_types_are_those_of_the_whole_file(tmp_path, shape):
    columns = {}
    for one, cells in CELLS.items():
        for other, others in CELLS.items():
            columns[f"{one} / {other}"] = [
                (cells if SHAPES[shape](n) else others)[n % len(cells if SHAPES[shape](n) else others)]
                for n in range(22)
            ]
    assert_same(both(tmp_path, written(columns)), shape)


@pytest.mark.parametrize("seed", range(3))
def test_columns_of_three_kinds_are_those_of_the_whole_file(tmp_path, seed):
    random = np.random.default_rng(seed)
    columns = {}
    for number in range(50):
        kinds = random.choice(list(CELLS), 3)
        chunks = [kinds[random.integers(3)] for _ in range(5)]
        columns[f"{number}: {chunks}"] = [str(random.choice(CELLS[chunks[n // AT_ONCE]])) for n in range(29)]
    assert_same(both(tmp_path, written(columns)), seed)


OPTIONS = {
    "decimal comma": ({"delimiter": ";", "decimal": ",", "thousands": "."}, ["1.234,5", "-2", "1.000.000"]),
    "thousands": ({"delimiter": ";", "thousands": ","}, ["1,234", "9,223,372,036,854,775,808", "5"]),
    "own missing": ({"na_values": ["-", "red"]}, ["-", "1", "red", "2.5"]),
    "no default missing": ({"keep_default_na": False}, ["NA", "1", "", "nan"]),
    "str": ({"dtypes": {"x": "str"}}, ["007", "", "NA", "8"]),
    "string": ({"dtypes": {"x": "string"}}, ["007", "", "NA", "8"]),
    "Int64": ({"dtypes": {"x": "Int64"}}, ["7", "", "8"]),
    "float64": ({"dtypes": {"x": "float64"}}, ["7", "", "8.5"]),
    "float32": ({"dtypes": {"x": "float32"}}, ["7", "", "0.1"]),
    "category": ({"dtypes": {"x": "category"}}, ["b", "", "a", "c"]),
    "int64": ({"dtypes": {"x": "int64"}}, ["7", "8"]),
    "int64 of text": ({"dtypes": {"x": "int64"}}, ["7", "x"]),
    "int64 of floats": ({"dtypes": {"x": "int64"}}, ["7", "1.5"]),
    "int64 with gaps": ({"dtypes": {"x": "int64"}}, ["7", ""]),
    "float of text": ({"dtypes": {"x": "float64"}}, ["1.5", "x"]),
    "time": ({"time": "x"}, ["2024-01-01", "2024-02-03 04:05:06", ""]),
    "time in two ways": ({"time": "x"}, ["13/01/2024", "01/02/2024"]),
    "no time": ({"time": "x"}, ["2024-01-01", "soon"]),
    "time of a format": ({"time": "x", "time_format": "%d.%m.%Y"}, ["01.02.2024", "31.12.2023"]),
    "too many rows": ({"limits": Limits(max_rows=20)}, ["1"]),
    "one row too many": ({"limits": Limits(max_rows=29)}, ["1"]),
    "encoding": ({"encoding": "utf-16"}, ["\u00fc", "1", ""]),
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("first", [0, 1])
def test_what_is_declared_holds(tmp_path, name, first):
    options, cells = OPTIONS[name]
    column = [cells[0] if first and n < 2 * AT_ONCE else cells[n % len(cells)] for n in range(30)]
    text = written({"x": column}, options.get("delimiter", ","))
    assert_same(both(tmp_path, text.encode(options.get("encoding", "utf-8")), **options), name)


LINES = ["a,b", *(f"{n},x{n}" for n in range(30))]


def changed(place, line):
    return [line if number == place else other for number, other in enumerate(LINES)]


FAULTS = {
    **{f"long row {place}": changed(place, "1,2,3,4") for place in (1, 2, 7, 8, 9, 15, 22, 29, 30)},
    **{f"short row {place}": changed(place, "1") for place in (1, 7, 8, 9, 30)},
    "long rows at borders": [line + (",y" if n in (8, 15, 16) else "") for n, line in enumerate(LINES)],
    "short rows": [line.partition(",")[0] if n > 10 else line for n, line in enumerate(LINES)],
    "empty end": [*LINES[:8], *("" for _ in range(9)), *LINES[8:]],
    "blank lines": [*LINES[:8], "", "  ", *LINES[8:], ""],
    "quote open": changed(20, '1,"open'),
    "long row, then quote open": [*changed(15, "1,2,3")[:25], '1,"open', *LINES[25:]],
    "stray quotes": changed(9, '5" x,a"b"c'),
    "text after quotes": changed(8, '"a"b,"c" d'),
    "quoted lines": changed(15, '"x\ny,z\n","q""r"'),
    "sep=": ["sep=;", *(line.replace(",", ";") for line in LINES)],
    "no name": [",b", *LINES[1:]],
    "repeated": ["a,a", *LINES[1:]],
    "one column": [line.partition(",")[2] for line in LINES],
    "one column with gaps": [line.partition(",")[2] if n % 3 else '""' for n, line in enumerate(LINES)],
    "no rows": LINES[:1],
    "title": ["Rentals", *LINES],
}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("name", FAULTS)
def test_faults_and_odd_lines_are_those_of_the_whole_file(tmp_path, name, ending):
    text = ending.join(FAULTS[name])
    assert_same(both(tmp_path, text + ending), name)
    assert_same(both(tmp_path, text), name)
    assert_same(both(tmp_path, text.rstrip()[:-1] + ending, "a.csv.gz"), name)


def test_a_file_whose_lines_end_in_carriage_returns_is_read_at_once(tmp_path):
    (tmp_path / "a.csv").write_bytes("\r".join(LINES).encode())
    rows = read_rows(Folder(str(tmp_path / "*.csv"), limits=SMALL), "a")
    assert isinstance(rows, pd.DataFrame)
    assert rows["b"].tolist() == [f"x{n}" for n in range(30)]


@pytest.mark.parametrize(("memory_mb", "on_disk"), [(0.0005, False), (0.0004, True)])
def test_a_file_takes_its_text_or_8_bytes_for_each_value(tmp_path, memory_mb, on_disk):
    (tmp_path / "a.csv").write_text("\n".join(LINES) + "\n")  # 30 rows and a header of 2 values
    rows = read_rows(Folder(str(tmp_path / "*.csv"), limits=Limits(memory_mb=memory_mb)), "a")
    assert isinstance(rows, LargeFrame) == on_disk
