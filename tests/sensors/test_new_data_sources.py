"""Sources of `new_data`: many files, periods, batches that vanish, outcomes, and a cursor that stays small."""

import json
import time

import dagster as dg
import pandas as pd
import pytest

from mlops_assets import Folder, Look, Source
from mlops_assets.sensors.new_data import requests as requests_module
from mlops_assets.sensors.new_data import vanished as vanished_module
from mlops_assets.sensors.new_data.attempts import Attempts
from mlops_assets.sources.folder import memory as memory_module
from support.ledger_rows import put_value
from support.ticking import Ticks, keys, pipeline, write


@pytest.fixture
def make(tmp_path):
    """`make(*models)` gives ticks over them; `tmp_path / "landing"` is there."""
    (tmp_path / "landing").mkdir()
    with dg.instance_for_test() as instance:
        yield lambda *models: Ticks(tmp_path, instance, *models)


@pytest.fixture
def landing(tmp_path, make):
    return tmp_path / "landing"


@pytest.fixture
def ticks(make, landing):
    return make(pipeline("bikes", Folder(str(landing / "*.csv"))))


def memory(ticks, what="batches"):
    return json.loads(ticks.cursor)["models"]["bikes"].get(what, {})


def told(result):
    """What a tick observes, by partition."""
    return {event.partition: event.description for event in result.asset_events}


@pytest.mark.promise(4)
@pytest.mark.fault(27)
@pytest.mark.slow
def test_ten_thousand_files_are_all_taken_in_in_order_with_a_small_cursor(ticks, landing, monkeypatch):
    names = [f"part-{number}" for number in range(10_000)]
    for name in names:
        (landing / f"{name}.csv").write_text("x,y\n1,2\n")
    seen, seconds = [], []

    def tick():
        started = time.perf_counter()
        result = ticks.tick()
        seconds.append(time.perf_counter() - started)
        ticks.take_in(result)
        seen.extend(keys(result))

    for _ in range(4):
        tick()
    assert seen == names[:30]
    assert len(memory(ticks)["seen"]) == memory_module.MOST_FILES
    assert len(ticks.cursor) < 10_000
    for place, name in ((requests_module, "MOST_PER_TICK"), (requests_module, "MOST_LOOKED_UP")):
        monkeypatch.setattr(place, name, 1_000)  # as bounded as before, in a hundredth of the ticks
    monkeypatch.setattr(memory_module, "MOST_FILES", 2_000)
    monkeypatch.setattr(requests_module, "attempts", lambda instance, tags: Attempts())
    while len(seen) < len(names) and len(seconds) < 30:
        tick()
    assert seen == names
    tick()
    assert (seen, memory(ticks).get("seen", {})) == (names, {})
    print(f"{len(seconds)} ticks, the longest {max(seconds):.1f} s, the last {seconds[-1]:.1f} s")


@pytest.mark.promise(4)
@pytest.mark.fault(5)
def test_files_that_never_stop_growing_hold_up_no_other(ticks, landing, monkeypatch):
    monkeypatch.setattr(memory_module, "MOST_FILES", 3)
    taken = []
    for rows in range(1, 8):
        for number in range(5):
            write(landing, f"growing-{number}.csv", rows)
        if rows == 1:
            write(landing, "whole.csv")
        taken += keys(ticks.tick())
    assert taken[:1] == ["whole"]


@pytest.mark.promise(4)
@pytest.mark.fault(25)
def test_a_batch_whose_source_is_gone_is_reported_once_and_once_more_when_it_is_back(ticks, landing):
    write(landing, "a.csv")
    write(landing, "b.csv", rows=5)
    ticks.tick()
    ticks.take_in(ticks.tick())
    content = (landing / "a.csv").read_bytes()
    (landing / "a.csv").unlink()
    result = ticks.tick()
    assert told(result) == {"a": vanished_module._GONE.format(model="bikes")}
    assert "bikes_exclude" in told(result)["a"]
    assert (told(ticks.tick()), keys(result)) == ({}, [])
    (landing / "a.csv").write_bytes(content)
    assert told(ticks.tick()) == {"a": "Its source is back."}
    assert told(ticks.tick()) == {}


class Broken(Source):
    """A source of one's own that fails in the way that it was declared with."""

    how: str

    def look(self, seen):
        if self.how == "raises":
            raise OSError("no route to host")
        return None if self.how == "gives nothing" else Look({"../up": "1", "one": "2"})

    def read(self, key):
        raise AssertionError("a tick reads no batch")


def test_a_source_of_ones_own_that_fails_is_logged_and_holds_up_no_other(make, landing, capfd):
    write(landing, "a.csv")
    models = [
        pipeline(f"broken{number}", Broken(how)) for number, how in enumerate(["raises", "gives nothing", "unsafe"])
    ]
    ticks = make(*models, pipeline("sound", Folder(str(landing / "*.csv"))))
    assert keys(ticks.tick(), "broken2") == ["one"]
    assert keys(ticks.tick(), "sound") == ["a"]
    log = capfd.readouterr().err
    assert "broken0: SourceUnavailableError: Broken 'raises': test_new_data_sources.Broken.look raised OSError" in log
    assert "Broken.look: expected a Look, got a NoneType" in log
    assert "broken2: '../up' waits: its key is unsafe" in log


def test_a_folder_that_cannot_be_listed_makes_no_batch_vanish(ticks, landing):
    write(landing, "a.csv")
    ticks.tick()
    ticks.take_in(ticks.tick())
    landing.rename(landing.with_name("away"))
    assert told(ticks.tick()) == {}


def test_thousands_of_batches_that_vanish_are_told_in_parts_and_then_summed_up(ticks, landing, monkeypatch):
    monkeypatch.setattr(vanished_module, "MOST_GONE", 45)
    for number in range(60):
        ticks.put("bikes", f"part-{number}", "mark", version=f"v{number}")
    counts = [len(told(ticks.tick())) for _ in range(5)]
    assert counts == [20, 20, 6, 0, 0]
    assert len(memory(ticks)["gone"]) == 45


def daily(days, rows=2):
    moments = [pd.Timestamp("2024-01-01") + pd.Timedelta(day, "D") for day in days for _ in range(rows)]
    return pd.DataFrame({"day": moments, "x": range(len(moments)), "y": range(len(moments))})


def test_of_many_files_divided_by_period_the_cursor_names_some_and_sums_up_the_rest(make, landing, monkeypatch, capfd):
    monkeypatch.setattr(memory_module, "MOST_PERIOD_FILES", 3)
    ticks = make(pipeline("bikes", Folder(str(landing / "*.csv"), period="day"), time="day"))
    for day in range(8):
        daily([day]).to_csv(landing / f"file-{day}.csv", index=False)
    assert keys(ticks.tick()) == []
    assert len(memory(ticks)["seen"]) == 3 and memory(ticks)["rest"]
    result = ticks.tick()
    assert keys(result) == [f"2024-01-0{day + 1}" for day in range(8)]
    ticks.take_in(result)
    assert keys(ticks.tick()) == []
    daily([8]).to_csv(landing / "file-8.csv", index=False)
    capfd.readouterr()
    assert keys(ticks.tick()) == []
    waits = capfd.readouterr().err
    assert "'file-8.csv' waits" in waits and "'file-0.csv' waits" not in waits
    latest = ticks.tick()
    assert keys(latest) == ["2024-01-09"]
    ticks.take_in(latest)
    daily([0], rows=3).to_csv(landing / "file-0.csv", index=False)
    assert keys(ticks.tick()) == []
    again = ticks.tick()
    assert keys(again) == ["2024-01-01"]
    ticks.take_in(again)
    (landing / "file-5.csv").unlink()
    assert [told(ticks.tick()) for _ in range(2)][-1].keys() <= {"2024-01-06"}


def test_a_period_is_reported_as_gone_only_when_no_file_waits(make, landing):
    ticks = make(pipeline("bikes", Folder(str(landing / "*.csv"), period="day"), time="day"))
    daily([0, 1]).to_csv(landing / "one.csv", index=False)
    daily([2]).to_csv(landing / "two.csv", index=False)
    ticks.tick()
    ticks.take_in(ticks.tick())
    daily([1]).to_csv(landing / "one.csv", index=False)
    assert told(ticks.tick()) == {}  # the file has just changed, and what it holds is not known
    assert list(told(ticks.tick())) == ["2024-01-01"]


def test_outcomes_are_requested_as_runs_of_their_own(make, landing):
    (landing / "labels").mkdir()
    outcomes = Folder(str(landing / "labels" / "*.csv"))
    ticks = make(pipeline("bikes", Folder(str(landing / "*.csv")), outcomes=outcomes, key=["x"]))
    write(landing, "2024-01.csv")
    write(landing / "labels", "2024-02.csv")
    ticks.tick()
    result = ticks.tick()
    found = {request.partition_key: request for request in result.run_requests}
    assert {name: each.tags["mlops_assets/kind"] for name, each in found.items()} == {
        "2024-01": "batch",
        "2024-02": "outcomes",
    }
    assert found["2024-02"].asset_selection == [dg.AssetKey(["bikes", "outcomes"])]
    added = {each.partitions_def_name: list(each.partition_keys) for each in result.dynamic_partitions_requests}
    assert added == {"bikes_batches": ["2024-01"], "bikes_outcomes": ["2024-02"]}
    value = {"batch": "2024-02", "status": "rejected", "mark": found["2024-02"].tags["mlops_assets/mark"]}
    put_value(ticks.storage, "bikes", "outcomes", "2024-02", {**value, "run_id": "run", "reasons": []})
    assert keys(ticks.tick()) == ["2024-01"]


@pytest.mark.promise(8)
def test_a_source_that_takes_long_leaves_the_others_to_the_next_tick(make, landing, monkeypatch):
    from mlops_assets.sensors.new_data import sensor as sensor_module

    ticks = make(*(pipeline(name, Folder(str(landing / f"{name}*.csv"))) for name in ("a", "b", "c")))
    for name in ("a", "b", "c"):
        write(landing, f"{name}.csv")
    ticks.tick()
    monkeypatch.setattr(sensor_module, "MOST_SECONDS", 0.0)
    seen = []
    for _ in range(3):
        seen.append(keys(ticks.tick()))
    assert seen == [["a"], ["b"], ["c"]]
