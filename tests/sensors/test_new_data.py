"""The sensor `new_data`, evaluated tick by tick on real folders."""

import json

import dagster as dg
import pytest

from mlops_assets import Folder, Frame, ModelPipeline
from mlops_assets.resources.judges import judged_by
from mlops_assets.sensors.new_data.requests import MOST_PER_TICK
from support.ticking import Ticks, keys, pipeline, write


def unreachable():
    raise OSError("the warehouse is away")


@pytest.fixture
def folder(tmp_path):
    """The landing folder of `bikes`."""
    (tmp_path / "landing").mkdir()
    return tmp_path / "landing"


@pytest.fixture
def ticks(tmp_path, folder):
    """Two models: `bikes` on a folder, `away` on a source that fails."""
    with dg.instance_for_test() as instance:
        away = pipeline("away", Frame(unreachable))
        yield Ticks(tmp_path, instance, away, pipeline("bikes", Folder(str(folder / "*.csv"))))


def test_a_file_is_taken_in_once_it_was_the_same_at_two_ticks(ticks, folder):
    write(folder, "2024-01.csv")
    assert keys(ticks.tick()) == []
    result = ticks.tick()
    assert keys(result) == ["2024-01"]
    (request,) = result.run_requests
    assert request.asset_selection[0] == dg.AssetKey(["bikes", "dataset"])
    assert request.tags.items() >= {
        ("mlops_assets/model", "bikes"),
        ("mlops_assets/kind", "batch"),
        ("mlops_assets/attempt", "1"),
        ("dagster/partition", "2024-01"),
        ("dagster/max_retries", "0"),
    }
    (addition,) = result.dynamic_partitions_requests
    assert (addition.partitions_def_name, list(addition.partition_keys)) == ("bikes_batches", ["2024-01"])


@pytest.mark.promise(4)
@pytest.mark.fault(5)
def test_a_growing_file_waits(ticks, folder):
    write(folder, "2024-01.csv", rows=3)
    ticks.tick()
    write(folder, "2024-01.csv", rows=5)
    assert keys(ticks.tick()) == []
    assert keys(ticks.tick()) == ["2024-01"]


def test_what_was_taken_in_is_not_asked_for_again_but_a_changed_file_is(ticks, folder):
    write(folder, "2024-01.csv")
    ticks.tick()
    first = ticks.tick()
    ticks.take_in(first)
    assert keys(ticks.tick()) == []
    write(folder, "2024-01.csv", rows=9)
    ticks.tick()
    again = ticks.tick()
    assert keys(again) == ["2024-01"]
    assert again.run_requests[0].run_key != first.run_requests[0].run_key


@pytest.mark.promise(4)
@pytest.mark.fault(27)
def test_requests_a_tick_are_bounded_and_nothing_is_lost(ticks, folder):
    for number in range(25):
        write(folder, f"day-{number}.csv")
    ticks.tick()
    seen = []
    for _ in range(3):
        result = ticks.tick()
        assert len(result.run_requests) <= MOST_PER_TICK
        ticks.take_in(result)
        seen += keys(result)
    assert seen == [f"day-{number}" for number in range(25)]
    assert keys(ticks.tick()) == []


@pytest.mark.promise(4)
@pytest.mark.fault(28)
def test_a_source_that_fails_holds_up_no_other_model(ticks, folder):
    write(folder, "2024-01.csv")
    ticks.tick()
    assert keys(ticks.tick()) == ["2024-01"]
    assert list(json.loads(ticks.cursor)["models"]["bikes"]["batches"]["seen"]) == ["2024-01"]


def test_runs_under_way_count_towards_the_bound_and_their_batches_wait(ticks, folder):
    for number in range(14):
        write(folder, f"day-{number}.csv")
    ticks.tick()
    for request in ticks.tick().run_requests[:8]:
        ticks.launch(request, dg.DagsterRunStatus.STARTED)
    assert keys(ticks.tick()) == ["day-8", "day-9"]


@pytest.mark.promise(8)
@pytest.mark.fault(55)
def test_a_lost_cursor_repeats_nothing_that_is_on_record(ticks, folder):
    write(folder, "2024-01.csv")
    ticks.tick()
    ticks.take_in(ticks.tick())
    ticks.cursor = None
    assert [keys(ticks.tick()) for _ in range(3)] == [[], [], []]


def test_a_rejected_batch_that_did_not_change_is_done_with(ticks, folder):
    write(folder, "2024-01.csv")
    ticks.tick()
    mark = ticks.tick().run_requests[0].tags["mlops_assets/mark"]
    ticks.put("bikes", "2024-01", mark, status="rejected", features=None, reasons=("no rows",))
    assert keys(ticks.tick()) == []


def test_a_rejected_batch_is_looked_at_once_more_when_what_judged_it_changes(tmp_path, folder):
    suite = tmp_path / "expectations.yaml"
    with dg.instance_for_test() as instance:

        def loaded(**options):
            return Ticks(
                tmp_path, instance, pipeline("bikes", Folder(str(folder / "*.csv"), **options), expectations=str(suite))
            )

        def reject(tick):
            (request,) = tick.run_requests
            mark, judges = (request.tags[f"mlops_assets/{name}"] for name in ("mark", "judged_by"))
            ticks.put("bikes", "2024-01", mark, status="rejected", features=None, reasons=("x",), judged_by=judges)
            return request

        ticks = loaded()
        write(folder, "2024-01.csv")
        ticks.tick()
        requests = [reject(ticks.tick())]
        assert keys(ticks.tick()) == []
        suite.write_text("name: bikes\nexpectations: []\n")
        requests.append(reject(ticks.tick()))
        assert keys(ticks.tick()) == []
        ticks = loaded(delimiter=";")  # the declaration is mended, and the code location reloaded
        ticks.tick()
        requests.append(reject(ticks.tick()))
        assert [keys(ticks.tick()) for _ in range(2)] == [[], []]
        assert len({request.run_key for request in requests}) == 3
        assert {request.tags["mlops_assets/attempt"] for request in requests} == {"1"}


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"where": {"region": "north"}}, False),
        ({"target": "z"}, False),
        ({"key": ["id"]}, False),
        ({"source": Folder("b/*.csv", dtypes={"x": "str"})}, False),
        ({"source": Folder("b/*.csv", limits={"max_rows": 7})}, False),
        ({"holdout": 1, "description": "another"}, True),
    ],
)
def test_what_judges_a_batch_is_source_contract_and_suite(changed, same):
    before = {"source": Folder("b/*.csv"), "target": "y", "estimator": "sklearn.linear_model.Ridge"}
    one, other = (judged_by(ModelPipeline(name="bikes", **{**before, **each}), 0) for each in ({}, changed))
    assert (one == other) is same


def test_a_folder_that_is_away_for_a_while_makes_no_file_new_again(ticks, folder):
    write(folder, "2024-01.csv")
    ticks.tick()
    folder.rename(folder.with_name("elsewhere"))
    assert keys(ticks.tick()) == []
    folder.with_name("elsewhere").rename(folder)
    assert keys(ticks.tick()) == ["2024-01"]
