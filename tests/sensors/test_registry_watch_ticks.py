"""How the ticks of `registry_watch` share their time among models when MLflow is slow or away."""

import json

import dagster as dg
import pytest

from mlops_assets import Folder, ModelPipeline
from mlops_assets.records.frames import BatchFiles
from mlops_assets.resources.great_expectations import GreatExpectations
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors import registry_watch
from support.ledger_rows import promote, spoil

NAMES = ["air", "bikes", "cars"]


class Ticks:
    """Ticks over three models with champions on record, in a registry that knows none of them."""

    def __init__(self, root, instance):
        self.instance, self.cursor, self.storage = instance, None, Storage(root=str(root / "storage"))
        self.registry = MlflowRegistry(tracking_uri=f"sqlite:///{root / 'mlflow.db'}")
        self.registry.prepare()  # takes seconds, which a tick does not have
        tags = {"data_version": "d", "declaration_version": "e", "promotion": "1"}
        for name in NAMES:
            champion = ModelVersion(
                model=name,
                version=1,
                digest="a" * 64,
                run_id="run",
                tags=tags,
                source=str(root / "nowhere" / "model"),
            )
            promote(self.storage, champion, by="ada", reason="first")
        resources = {
            "mlops_storage": self.storage,
            "mlops_batches": BatchFiles(root=self.storage.root),
            "mlflow_registry": self.registry,
            "great_expectations": GreatExpectations(),
        }
        models = [
            ModelPipeline(name=name, source=Folder(str(root / "*.csv")), target="y", estimator="sklearn.svm.SVR")
            for name in [*NAMES, "unborn"]
        ]
        self.repository = dg.Definitions.merge(
            *(model.build_defs() for model in models), dg.Definitions(resources=resources)
        ).get_repository_def()
        self.sensor = registry_watch.registry_watch_sensor()

    def tick(self):
        """The models that a tick tells of."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"mlops_storage": self.storage, "mlflow_registry": self.registry},
        )
        result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor
        for event in result.asset_events:
            self.instance.report_runless_asset_event(event)
        return [event.asset_key.path[0] for event in result.asset_events]

    def next(self):
        return json.loads(self.cursor).get("next", "")


@pytest.fixture
def ticks(tmp_path):
    with dg.instance_for_test() as instance:
        yield Ticks(tmp_path, instance)


def test_models_with_a_champion_on_record_are_told_of_once(ticks):
    assert ticks.tick() == NAMES
    assert ticks.tick() == []
    assert set(json.loads(ticks.cursor)["models"]) == set(NAMES)


@pytest.mark.promise(8)
def test_a_tick_that_is_out_of_time_goes_on_where_it_stopped(ticks, monkeypatch):
    monkeypatch.setattr(registry_watch, "SECONDS_A_TICK", 0.001)  # over once the first of them was looked at
    told = [ticks.tick() for _ in range(3)]
    assert told == [["air"], ["bikes"], ["cars"]]


@pytest.mark.promise(8)
@pytest.mark.fault(30)
def test_a_registry_that_does_not_answer_is_asked_once_a_tick_for_another_model_each_time(ticks):
    registry, ticks.registry = ticks.registry, MlflowRegistry(tracking_uri="http://127.0.0.1:9")
    asked = []
    for _ in range(3):
        assert ticks.tick() == []
        asked.append(ticks.next())
    assert asked == [*NAMES[1:], "unborn"]
    ticks.registry = registry
    assert sorted(ticks.tick()) == NAMES


def test_a_broken_record_holds_up_no_other(ticks, tmp_path):
    spoil(ticks.storage, "bikes", "promotions", "000001")
    assert ticks.tick() == ["air", "cars"]


def test_a_fault_that_an_evaluation_of_a_run_does_not_show_is_told_again(ticks):
    ticks.tick()
    first = NAMES[0]
    ticks.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(dg.AssetKey([first, "champion"]), "registry_intact", True, {})
    )
    assert ticks.tick() == [first]
