"""The sensor `new_data`, evaluated tick by tick on real folders."""

import json

import dagster as dg
import pandas as pd
import pytest

from mlops_assets import Folder, Frame, ModelPipeline
from mlops_assets.resources.batch_ledger import BatchLedger, BatchRecord
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow_registry import MlflowRegistry
from mlops_assets.resources.storage import BatchFiles, Storage
from mlops_assets.sensors.new_data import MOST_PER_TICK, new_data_sensor


def unreachable():
    raise OSError("the warehouse is away")


def pipeline(name, source):
    return ModelPipeline(name=name, source=source, target="y", estimator="sklearn.linear_model.Ridge")


class Ticks:
    """Ticks of the sensor over two models: `bikes` on a folder, `away` on a source that fails."""

    def __init__(self, root, instance):
        self.folder, self.instance, self.cursor = root / "landing", instance, None
        self.storage = Storage(root=str(root / "storage"))
        self.folder.mkdir()
        models = [pipeline("away", Frame(unreachable)), pipeline("bikes", Folder(str(self.folder / "*.csv")))]
        resources = {
            "mlops_storage": self.storage,
            "mlops_batches": BatchFiles(root=self.storage.root),
            "mlflow_registry": MlflowRegistry(tracking_uri=f"sqlite:///{root / 'mlflow.db'}"),
            "great_expectations": GreatExpectations(),
        }
        self.sensor = new_data_sensor()
        defs = dg.Definitions.merge(
            *(model.build_defs() for model in models), dg.Definitions(resources=resources, sensors=[self.sensor])
        )
        self.repository = defs.get_repository_def()

    def tick(self):
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"mlops_storage": self.storage},
        )
        result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor
        return result

    def drop(self, name, rows=3):
        pd.DataFrame({"x": range(rows), "y": range(rows)}).to_csv(self.folder / name, index=False)

    def take_in(self, result):
        """What the requested runs would leave in the ledger."""
        for request in result.run_requests:
            mark = request.tags["mlops_assets/mark"]
            record = BatchRecord(str(request.partition_key), "accepted", "run", mark=mark)
            BatchLedger(self.storage, "bikes").put(record)


@pytest.fixture
def ticks(tmp_path):
    with dg.instance_for_test() as instance:
        yield Ticks(tmp_path, instance)


def keys(result):
    return [request.partition_key for request in result.run_requests]


def test_a_file_is_taken_in_once_it_was_the_same_at_two_ticks(ticks):
    ticks.drop("2024-01.csv")
    assert keys(ticks.tick()) == []
    result = ticks.tick()
    assert keys(result) == ["2024-01"]
    assert result.run_requests[0].asset_selection[0] == dg.AssetKey(["bikes", "dataset"])
    (addition,) = result.dynamic_partitions_requests
    assert (addition.partitions_def_name, list(addition.partition_keys)) == ("bikes_batches", ["2024-01"])


def test_a_growing_file_waits(ticks):
    ticks.drop("2024-01.csv", rows=3)
    ticks.tick()
    ticks.drop("2024-01.csv", rows=5)
    assert keys(ticks.tick()) == []
    assert keys(ticks.tick()) == ["2024-01"]


def test_what_was_taken_in_is_not_asked_for_again_but_a_changed_file_is(ticks):
    ticks.drop("2024-01.csv")
    ticks.tick()
    first = ticks.tick()
    ticks.take_in(first)
    assert keys(ticks.tick()) == []
    ticks.drop("2024-01.csv", rows=9)
    ticks.tick()
    again = ticks.tick()
    assert keys(again) == ["2024-01"]
    assert again.run_requests[0].run_key != first.run_requests[0].run_key


def test_requests_a_tick_are_bounded_and_nothing_is_lost(ticks):
    for number in range(25):
        ticks.drop(f"day-{number}.csv")
    ticks.tick()
    seen = []
    for _ in range(3):
        result = ticks.tick()
        assert len(result.run_requests) <= MOST_PER_TICK
        ticks.take_in(result)
        seen += keys(result)
    assert seen == [f"day-{number}" for number in range(25)]
    assert keys(ticks.tick()) == []


def test_a_source_that_fails_holds_up_no_other_model(ticks, caplog):
    ticks.drop("2024-01.csv")
    ticks.tick()
    assert keys(ticks.tick()) == ["2024-01"]
    assert set(json.loads(ticks.cursor)) == {"bikes"}
