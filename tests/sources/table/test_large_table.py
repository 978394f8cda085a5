"""A batch of a table that does not fit into memory: the rows on disk are those that are read whole."""

import pandas as pd
import pytest

from mlops_assets import disk_frame
from mlops_assets.disk_frame import LargeFrame
from mlops_assets.errors import SourceError
from mlops_assets.sources import Limits, Table
from mlops_assets.sources.reading import read_rows
from mlops_assets.sources.table import read as read_module
from support.both_ways import read_both_ways

ROWS = 40
ANY = {
    "integer": ("BIGINT", lambda n: str(2**60 + n)),
    "numeric": ("NUMERIC(10, 2)", lambda n: f"{n}.25"),
    "real": ("DOUBLE PRECISION", lambda n: f"{n}.1"),
    "text": ("VARCHAR(20)", lambda n: f"'{('red', 'blue', 'white')[n % 3]}'"),
    "boolean": ("BOOLEAN", lambda n: str(n % 3 == 0).upper()),
    "day": ("DATE", lambda n: f"'2023-01-{1 + n % 28:02d}'"),
    "moment": ("TIMESTAMP", lambda n: f"'2023-01-{1 + n % 28:02d} 10:00:00'"),
}
OF_SQLITE = {
    "numbers, then texts": ("BLOB", lambda n: str(n) if n < 25 else f"'x{n}'"),
    "texts, then numbers": ("BLOB", lambda n: f"'x{n}'" if n < 15 else str(n)),
    "integers and reals": ("BLOB", lambda n: str(n) if n % 9 else f"{n}.5"),
    "bytes": ("BLOB", lambda n: f"x'{n:02d}ff'"),
}
OF_POSTGRES = {
    "zone": ("TIMESTAMPTZ", lambda n: f"'2023-01-{1 + n % 28:02d} 10:00:00+02'"),
    "uuid": ("UUID", lambda n: f"'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a{n:02d}'"),
    "json": ("JSONB", lambda n: f"""'{{"b": {n}, "a": [1]}}'"""),
    "array": ("INTEGER[]", lambda n: f"'{{{n}, 2}}'"),
    "bytea": ("BYTEA", lambda n: f"'\\x{n:02d}ff'"),
    "time of day": ("TIME", lambda n: f"'10:{n:02d}'"),
    "span": ("INTERVAL", lambda n: f"'{n} hours'"),
}
GAPS = {"none": [], "first": range(9), "some": range(3, ROWS, 5), "all": range(ROWS)}


@pytest.fixture(autouse=True)
def few_rows_at_once(monkeypatch):
    monkeypatch.setattr(disk_frame, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(read_module, "_PART", 3)


@pytest.fixture
def kinds(database):
    """A table with a column of each kind and each pattern of gaps; many rows have the same time."""
    kinds = {**ANY, **(OF_SQLITE if database.kind == "sqlite" else OF_POSTGRES)}
    columns = {f"{name}, {gap}": (kind, value, gap) for name, (kind, value) in kinds.items() for gap in GAPS}
    declared = ", ".join(f'"{name}" {kind}' for name, (kind, _, _) in columns.items())
    statements = [f"CREATE TABLE orders (id INTEGER, at TIMESTAMP, {declared})"]
    for n in range(ROWS):
        row = ["NULL" if n in GAPS[gap] else value(n) for _, value, gap in columns.values()]
        at = f"'2024-{1 + n % 2:02d}-{1 + n * 7 % 4:02d} 10:00:00'"
        statements.append(f"INSERT INTO orders VALUES ({n}, {at}, {', '.join(row)})")
    database.run(*statements)
    return database


def both(key, **options):
    return read_both_ways(Table(**options), key)


@pytest.mark.parametrize(
    ("key", "rows", "options"),
    [
        ("2024-01", 20, {"name": "orders", "period": "month", "time": "at"}),
        ("0-start--000025", 26, {"name": "orders", "high_watermark": "id"}),
        ("0-start--000025", 26, {"query": "SELECT * FROM orders", "high_watermark": "id", "time": "at"}),
    ],
)
def test_types_order_and_version_are_those_of_reading_whole(kinds, key, rows, options):
    whole, disk = both(key, url=kinds.url, **options)
    for one, other in zip(disk[:2], whole[:2], strict=True):
        pd.testing.assert_frame_equal(one, other)
    assert disk[2:] == whole[2:]
    assert whole[4] == rows


def test_rows_that_fit_at_first_are_on_disk_with_the_others(kinds):
    source = Table("orders", url=kinds.url, period="month", time="at")
    whole = source.read("2024-01")
    first = whole[:9].memory_usage(deep=True).sum() / 1e6
    rows = read_rows(source.model_copy(update={"limits": Limits(memory_mb=first)}), "2024-01")
    assert isinstance(rows, LargeFrame)
    pd.testing.assert_frame_equal(rows[list(rows.columns)], whole)


@pytest.mark.parametrize(
    ("key", "limits"), [("2024-01", {"max_rows": 10}), ("2024-01", {"max_mb": 0.001}), ("2024-05", {}), ("soon", {})]
)
def test_faults_are_those_of_reading_whole(kinds, key, limits):
    said = []
    for memory_mb in (1e6, 1e-6):
        limit = Limits(**limits, memory_mb=memory_mb)
        with pytest.raises(SourceError) as raised:
            read_rows(Table("orders", url=kinds.url, period="month", time="at", limits=limit), key)
        said.append(str(raised.value))
    assert said[0] == said[1]
    assert said[0].startswith(f"Table 'orders': batch {key!r}: ")


def test_a_text_that_is_no_time_is_named(on_sqlite):
    on_sqlite.run("CREATE TABLE orders (id INTEGER, at TEXT)")
    moments = ["soon" if n == 33 else "2024-01-01" for n in range(ROWS)]
    on_sqlite.run(*(f"INSERT INTO orders VALUES ({n}, '{moment}')" for n, moment in enumerate(moments)))
    whole, disk = both("0-start--000039", name="orders", url=on_sqlite.url, high_watermark="id", time="at")
    assert disk == whole
    assert "column 'at' holds 'soon' in data row 34" in disk
