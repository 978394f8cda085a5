"""Which batches a table gives, on SQLite and on PostgreSQL."""

import datetime as dt

import pandas as pd
import pytest

from mlops_assets.errors import DeclarationError, SourceError, SourceUnavailableError
from mlops_assets.sources import Limits, Table
from mlops_assets.sources.table import look as table_look
from mlops_assets.sources.table import marks as table_marks
from mlops_assets.sources.table import periods as table_periods

START = "0-start"
NOW = pd.Timestamp("2024-03-10")


@pytest.fixture
def orders(database):
    database.run("CREATE TABLE orders (id BIGINT, day TIMESTAMP, x DOUBLE PRECISION)")
    return database


def numbered(*ids):
    return [{"id": number, "day": dt.datetime(2024, 1, 1), "x": 1.5} for number in ids]


def on(*moments):
    return [{"id": place, "day": dt.datetime.fromisoformat(day), "x": 1.5} for place, day in enumerate(moments)]


def above(database, **options):
    return Table("orders", url=database.url, **{"high_watermark": "id", **options})


def by_day(database, **options):
    return Table("orders", url=database.url, period="day", time="day", **options)


def test_each_look_gives_the_rows_above_the_last_batch_as_one(orders):
    source = above(orders)
    assert source.look().ready == {}
    orders.add("orders", numbered(1, 2, 3))
    first = source.look()
    assert list(first.ready) == [f"{START}--000003"]
    assert first.waiting == ()
    assert source.look(first.ready) == first
    orders.add("orders", numbered(7, 5))
    second = source.look(first.ready)
    assert list(second.ready) == [f"{START}--000003", "000003--000007"]
    assert second.ready[f"{START}--000003"] == first.ready[f"{START}--000003"]
    assert source.read("000003--000007")["id"].tolist() == [5, 7]
    assert source.read(f"{START}--000003")["id"].tolist() == [1, 2, 3]


def test_a_batch_that_was_asked_for_does_not_grow_while_its_run_is_under_way(orders):
    source = above(orders)
    orders.add("orders", numbered(1, 2))
    asked = dict.fromkeys(source.look().ready, "")
    orders.add("orders", numbered(3))
    assert list(source.look(asked).ready) == [f"{START}--000002", "000002--000003"]
    assert all(source.look(asked).ready.values())


def test_more_rows_than_a_batch_may_have_are_several_batches_without_loss(orders):
    orders.run("CREATE INDEX by_id ON orders (id)")
    orders.add("orders", numbered(*range(1, 100_001)))
    source = above(orders, limits=Limits(max_rows=30_000))
    ready = source.look().ready
    assert list(ready) == [
        f"{START}--030000",
        "030000--060000",
        "060000--090000",
        "090000--100000",
    ]
    ids = pd.concat([source.read(key)["id"] for key in ready])
    assert ids.tolist() == list(range(1, 100_001))


def test_rows_of_one_value_are_never_divided_and_too_many_of_them_are_refused_with_the_reason(orders):
    orders.add("orders", numbered(1, 2, 2, 2, 3, 3, 3, 3, 3, 4))
    source = above(orders, limits=Limits(max_rows=4))
    assert list(source.look().ready) == [f"{START}--000002", "000002--000003", "000003--000004"]
    with pytest.raises(
        SourceError, match=r"000002--000003': has 5 rows; expected at most 4\. Rows of one value are never"
    ):
        source.read("000002--000003")


def test_new_rows_beyond_what_one_look_divides_come_at_the_next(orders, monkeypatch):
    monkeypatch.setattr(table_look, "MOST_NEW", 2)
    orders.add("orders", numbered(*range(10)))
    source = above(orders, limits=Limits(max_rows=3))
    first = source.look().ready
    assert list(first) == [f"{START}--000002", "000002--000005"]
    assert list(source.look(first).ready)[2:] == ["000005--000008", "000008--000009"]


def test_rows_committed_late_change_the_mark_of_their_batch_alone(orders):
    source = above(orders)
    orders.add("orders", numbered(1, 2, 5))
    ready = source.look().ready
    orders.add("orders", numbered(9))
    ready = source.look(ready).ready
    orders.add("orders", numbered(4))
    again = source.look(ready).ready
    assert [key for key in ready if again[key] != ready[key]] == [f"{START}--000005"]
    assert source.read(f"{START}--000005")["id"].tolist() == [1, 2, 4, 5]


def test_rows_between_batches_that_no_batch_has_are_given_as_one(orders):
    orders.add("orders", numbered(1, 5, 9))
    source = above(orders)
    assert list(source.look({f"{START}--000002": "a", "000007--000009": "b"}).ready) == [
        f"{START}--000002",
        "000002--000007",
        "000007--000009",
    ]


def test_a_batch_of_which_all_rows_are_gone_is_given_no_more(orders):
    orders.add("orders", numbered(1, 5))
    source = above(orders)
    ready = source.look().ready
    orders.run("DELETE FROM orders")
    orders.add("orders", numbered(6))
    assert list(source.look(ready).ready) == ["000005--000006"]
    with pytest.raises(SourceError, match="has no rows any more"):
        source.read(f"{START}--000005")


def test_of_many_batches_the_newest_are_counted_and_the_older_keep_their_mark(orders, monkeypatch):
    monkeypatch.setattr(table_look, "NEWEST", 2)
    source = above(orders)
    ready: dict[str, str] = {}
    for number in range(1, 5):
        orders.add("orders", numbered(10 * number))
        ready = source.look(ready).ready
    orders.add("orders", numbered(5, 35))
    again = source.look(ready).ready
    assert [key for key in ready if again[key] != ready[key]] == ["000030--000040"]
    unmarked = source.look({**ready, f"{START}--000010": ""}).ready
    assert unmarked[f"{START}--000010"] != ready[f"{START}--000010"]


def test_marks_of_many_batches_are_those_of_each(orders, monkeypatch):
    monkeypatch.setattr(table_marks, "_CHUNK", 7)
    orders.add("orders", numbered(*range(1, 101)))
    many = above(orders, limits=Limits(max_rows=4)).look().ready
    assert len(many) == 25
    assert len(set(many.values())) == 25
    monkeypatch.setattr(table_marks, "_CHUNK", 1)
    assert above(orders, limits=Limits(max_rows=4)).look().ready == many


def test_rows_without_a_watermark_wait_and_are_counted(orders):
    orders.add("orders", [*numbered(1), {"id": None, "day": None, "x": 1.0}, {"id": None, "day": None, "x": 2.0}])
    look = above(orders).look()
    assert list(look.ready) == [f"{START}--000001"]
    assert [(each.name, each.reason) for each in look.waiting] == [
        ("rows without id", "2 rows have no value in column 'id'; fill it in")
    ]
    orders.run("DELETE FROM orders WHERE id IS NOT NULL")
    assert len(above(orders).look().waiting) == 1


def test_numbers_below_zero_are_in_the_first_batch(orders):
    orders.add("orders", numbered(-7, -3))
    source = above(orders)
    ready = source.look().ready
    assert list(ready) == [f"{START}--000000"]
    orders.add("orders", numbered(-1, 2))
    assert list(source.look(ready).ready) == [f"{START}--000000", "000000--000002"]
    assert source.read(f"{START}--000000")["id"].tolist() == [-7, -3, -1]


def test_a_time_can_be_the_watermark(orders):
    orders.add("orders", on("2024-01-01", "2024-01-02T03:04:05.678"))
    source = above(orders, high_watermark="day")
    ready = source.look(now=NOW).ready
    assert list(ready) == [f"{START}--20240102T030405.678000"]
    assert source.look(ready, NOW).ready == ready
    orders.add("orders", on("2024-01-02T03:04:05.679"))
    key = list(source.look(ready, NOW).ready)[1]
    assert key == "20240102T030405.678000--20240102T030405.679000"
    assert source.read(key)["day"].tolist() == [pd.Timestamp("2024-01-02T03:04:05.679")]


def test_a_watermark_in_the_future_waits_and_stops_no_other_row(orders):
    orders.add("orders", on("2024-03-01", "9999-12-31"))
    look = above(orders, high_watermark="day").look(now=NOW)
    assert list(look.ready) == [f"{START}--20240301T000000.000000"]
    assert look.waiting[0].name == "rows with day in the future"
    assert look.waiting[0].reason.startswith("1 rows wait")


def test_a_watermark_of_another_kind_than_before_is_an_error(orders):
    orders.add("orders", numbered(1))
    with pytest.raises(
        SourceUnavailableError, match=r"'day' holds times, and the batches so far were divided by the other"
    ):
        above(orders, high_watermark="day").look({f"{START}--000001": "m"}, NOW)


@pytest.mark.parametrize("text", ["now", "10:30", "2460311"])
@pytest.mark.parametrize("options", [{"period": "day", "time": "at"}, {"high_watermark": "at"}])
def test_text_that_sqlite_makes_a_time_of_and_is_none_waits_in_no_batch(on_sqlite, text, options):
    on_sqlite.run("CREATE TABLE visits (at TIMESTAMP, x REAL)")
    on_sqlite.run(f"INSERT INTO visits VALUES ('2024-03-01 10:00', 1), ('2024-03-02', 2), ('{text}', 3)")
    source = Table("visits", url=on_sqlite.url, **options)
    look = source.look()
    assert [each.reason for each in look.waiting] == ["1 rows have no time that can be read in column 'at'; fill it in"]
    assert [x for key in look.ready for x in source.read(key)["x"]] == [1.0, 2.0]


@pytest.mark.parametrize("column", ["x", "name"])
def test_a_column_that_cannot_be_a_watermark_is_named(orders, column):
    orders.run("ALTER TABLE orders ADD COLUMN name VARCHAR(9)")
    orders.add("orders", [{**numbered(1)[0], "name": "abc"}])
    look = above(orders, high_watermark=column)
    if (orders.kind, column) == ("sqlite", "name"):
        assert look.look().waiting[0].reason == "1 rows have no time that can be read in column 'name'; fill it in"
    else:
        with pytest.raises(SourceUnavailableError, match=f"Table 'orders': column '{column}' holds .*; expected whole"):
            look.look()


def test_a_batch_is_all_rows_of_a_period(orders):
    orders.add("orders", on("2024-03-07T23:59:59.999", "2024-03-08", "2024-03-08T12:00", "2024-03-10T01:00"))
    look = by_day(orders).look(now=NOW)
    assert list(look.ready) == ["2024-03-07", "2024-03-08"]
    assert [(each.name, each.reason) for each in look.waiting] == [("2024-03-10", "period not over")]
    assert by_day(orders).read("2024-03-08")["id"].tolist() == [1, 2]
    orders.add("orders", on("2024-03-08T11:00"))
    again = by_day(orders).look(look.ready, NOW).ready
    assert again["2024-03-07"] == look.ready["2024-03-07"]
    assert again["2024-03-08"] != look.ready["2024-03-08"]


@pytest.mark.parametrize(
    "period, key", [("week", "2024-W10"), ("month", "2024-03"), ("quarter", "2024-Q1"), ("year", "2024")]
)
def test_a_period_may_be_longer(orders, period, key):
    orders.add("orders", on("2023-12-31", "2024-03-04", "2024-03-10T23:00"))
    source = Table("orders", url=orders.url, period=period, time="day")
    assert list(source.look(now=pd.Timestamp("2025-01-01")).ready)[-1] == key
    assert source.read(key)["id"].tolist() == [1, 2]


def test_rows_decades_apart_are_found_and_those_of_impossible_years_wait(orders):
    orders.add("orders", on("0500-01-01", "1902-05-06", "1990-07-08", "2024-03-01", "2024-03-02", "9999-12-31"))
    look = by_day(orders).look(now=NOW)
    assert list(look.ready) == ["1902-05-06", "1990-07-08", "2024-03-01", "2024-03-02"]
    assert [(each.name, each.reason[:6]) for each in look.waiting] == [("rows outside 1700 to 2199", "2 rows")]


def test_the_week_in_which_the_years_begin_is_read_by_the_key_that_a_look_gives(orders):
    orders.add("orders", on("1700-01-01", "2024-03-01"))
    source = Table("orders", url=orders.url, period="week", time="day")
    ready = source.look(now=NOW).ready
    assert list(ready) == ["1699-W53", "2024-W09"]
    assert source.read("1699-W53")["id"].tolist() == [0]
    assert source.look(ready, NOW).ready == ready


def test_of_many_periods_the_newest_are_counted_and_new_ones_found_wherever_they_are(orders, monkeypatch):
    monkeypatch.setattr(table_periods, "NEWEST", 2)
    orders.add("orders", on("2024-01-01", "2024-01-05", "2024-03-01", "2024-03-02"))
    ready = by_day(orders).look(now=NOW).ready
    orders.add("orders", on("2023-12-01", "2024-01-01T05:00", "2024-01-03", "2024-03-01T05:00"))
    again = by_day(orders).look(ready, NOW).ready
    assert list(again) == ["2023-12-01", "2024-01-01", "2024-01-03", "2024-01-05", "2024-03-01", "2024-03-02"]
    assert [key for key in ready if again[key] != ready[key]] == ["2024-03-01"]


def test_rows_without_a_time_wait_and_are_counted(orders):
    orders.add("orders", [*on("2024-03-01"), {"id": 9, "day": None, "x": 1.0}])
    look = by_day(orders).look(now=NOW)
    assert list(look.ready) == ["2024-03-01"]
    assert [each.name for each in look.waiting] == ["rows without day"]


def test_a_watermark_beside_a_period_tells_of_rows_that_were_changed(orders):
    orders.add("orders", on("2024-03-01", "2024-03-02"))
    source = by_day(orders, high_watermark="id")
    ready = source.look(now=NOW).ready
    orders.run("UPDATE orders SET id = 77 WHERE id = 1")
    again = source.look(ready, NOW).ready
    assert [key for key in ready if again[key] != ready[key]] == ["2024-03-02"]


def test_a_period_of_numbers_or_without_time_is_an_error(orders):
    orders.add("orders", numbered(1))
    with pytest.raises(SourceUnavailableError, match="column 'id' holds numbers; expected times"):
        Table("orders", url=orders.url, period="day", time="id").look()
    untimed = Table("orders", url=orders.url, period="day")
    for use in (untimed.look, lambda: untimed.read("2024-01-01")):
        with pytest.raises(DeclarationError, match="period='day' needs time"):
            use()
    assert untimed.with_time("day").look(now=NOW).ready
