"""Alarms without end, values around a threshold, and a Dagster that has forgotten: trainings stay what they should."""

from datetime import UTC, datetime, timedelta
from math import ceil

import dagster as dg
import numpy as np
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType

from mlops_assets import Folder
from mlops_assets.sensors import new_data_sensor, retraining_sensor
from support.retraining_ticks import CLOCK, Clock, Ticks
from support.sensed import Project, ridge
from support.synthetic import rows


@pytest.fixture
def ticks(tmp_path):
    with dg.instance_for_test() as instance:
        yield Ticks(tmp_path, instance)


class Stream:
    """A champion on three batches, then one batch a tick; a training lasts two ticks and changes nothing."""

    def __init__(self, ticks, monkeypatch, hours, **retraining):
        ticks.model("bike", retraining={"first_after": 3, "growth": None, **retraining}).build_defs()
        for number in (1, 2, 3):
            ticks.batch(number)
        ticks.train(days_ago=60)
        self.ticks, self.monkeypatch, self.hours = ticks, monkeypatch, hours
        self.number, self.open, self.began = 3, [], []

    def go(self, *drifted):
        """One tick for each batch: whether it drifted."""
        for drift in drifted:
            self.number += 1
            self.ticks.batch(self.number, drift=drift, decay=False)
            at = datetime.now(UTC) + timedelta(hours=self.hours * (self.number - 3))
            self.monkeypatch.setattr(CLOCK, Clock(at))
            self._end(at)
            requests = self.ticks.tick().run_requests
            assert len(requests) + len(self.open) <= 1, "two trainings at once"
            for request in requests:
                self.open.append((self.number, self.ticks.run(request, dg.DagsterRunStatus.STARTED)))
                self.began.append(self.number)

    def _end(self, at):
        for number, run in [each for each in self.open if self.number - each[0] >= 2]:
            event = DagsterEvent(DagsterEventType.PIPELINE_SUCCESS.value, run.job_name, message="")
            self.ticks.instance.report_dagster_event(event, run.run_id)
            days = (datetime.now(UTC) - at).total_seconds() / 86_400
            self.ticks.train(verdict="keep", version=2, days_ago=days, run_id=run.run_id)
            self.open.remove((number, run))


@pytest.mark.fault(52)
@pytest.mark.slow
def test_a_hundred_drifted_batches_open_one_training_at_a_time_with_a_pause_between(ticks, monkeypatch):
    stream = Stream(ticks, monkeypatch, hours=1, cool_down="12h", budget=100)
    stream.go(*[True] * 100)
    gaps = np.diff(stream.began)
    assert len(stream.began) > 1 and gaps.min() >= 12 and len(stream.began) <= ceil(100 / 12)


@pytest.mark.fault(52)
@pytest.mark.slow
def test_a_hundred_drifted_batches_cost_no_more_than_the_budget(ticks, monkeypatch):
    stream = Stream(ticks, monkeypatch, hours=1, cool_down=1, budget=4)
    stream.go(*[True] * 100)
    assert len(stream.began) == 4
    assert "budget" in ticks.decisions()[0]["held_back_by"]


@pytest.mark.fault(52)
@pytest.mark.slow
def test_fifty_columns_that_drift_are_one_alarm(deployment, name):
    def wide(number, shift=0.0):
        random = np.random.default_rng(number)
        return rows(number, 200).assign(**{f"c{place}": random.normal(shift, size=200) for place in range(50)})

    model = deployment.model(name)
    model.prepare(b1=wide(1), b2=wide(2))
    assert model.challenge().success
    assert model.take_in(model.land("b3", wide(3, shift=9.0))).success
    shown = model.shown("drift")
    drifted = {row["feature"] for row in shown["features"] if row["verdict"] == "drift"}
    assert shown["verdict"] == "drift" and {f"c{place}" for place in range(50)} <= drifted
    assert len(checks_of(model, "no_drift")) == 1


def checks_of(model, name):
    """The evaluations of a check on record that failed."""
    key = dg.AssetCheckKey(dg.AssetKey([model.name, "drift"]), name)
    records = model.instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
    return [record for record in records if record.status.name == "FAILED"]


@pytest.mark.fault(53)
def test_a_value_around_its_threshold_fires_only_where_k_of_n_batches_say_so_and_within_the_budget(ticks, monkeypatch):
    stream = Stream(ticks, monkeypatch, hours=12, cool_down=1, budget=3)
    stream.go(*[True, False, False] * 10)
    assert stream.began == []  # one of three is no confirmation
    stream.go(*[True, False] * 15)
    assert 1 <= len(stream.began) <= 3


@pytest.mark.fault(55)
def test_a_renamed_sensor_without_cursor_and_runs_trains_nothing_twice(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    (request,) = ticks.tick().run_requests
    run = ticks.run(request, dg.DagsterRunStatus.SUCCESS)
    ticks.train(run_id=run.run_id)
    ticks.instance.delete_run(run.run_id)
    ticks.sensor, ticks.cursor = retraining_sensor(name="another"), None
    for _ in range(3):
        assert ticks.tick().run_requests == []
    assert ticks.instance.get_runs_count() == 0


@pytest.mark.fault(55)
@pytest.mark.slow
def test_a_dagster_that_has_forgotten_cursors_runs_and_batches_takes_in_and_trains_nothing_twice(
    deployment, name, tmp_path
):
    (tmp_path / "landing").mkdir()
    for number in (1, 2):
        rows(number).to_csv(tmp_path / "landing" / f"b{number}.csv", index=False)
    project = Project(deployment, ridge(name, Folder(str(tmp_path / "landing" / "*.csv"))))
    project.tick()
    assert project.take_in() == ["b1", "b2"] and project.train().success
    registry = project.resources["mlflow_registry"]
    before = project.became(), registry.versions(name)
    for run in project.instance.get_runs():
        project.instance.delete_run(run.run_id)
    for batch in ("b1", "b2"):
        project.instance.delete_dynamic_partition(f"{name}_batches", batch)
    project.sensor, project.cursor = new_data_sensor(name="another"), None
    asked = [request.partition_key for _ in range(3) for request in project.tick()]
    assert asked == [] and project.train().success
    assert (project.became(), registry.versions(name)) == before
