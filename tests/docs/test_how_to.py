"""Each page of docs/how-to as its reader would follow it: files put in place, the loop left to itself, commands run."""

import re
from typing import Any

import pytest

from mlops_assets.assets.shared.keys import declared
from mlops_assets.cli.on_record import decisions
from mlops_assets.records.model_records import ModelRecords
from support.bikes import write_journals, write_late_labels
from support.ledger_rows import latest
from support.pages import blocks
from support.project import Location

pytestmark = pytest.mark.slow
MONTHS = [f"2024-{month:02d}" for month in range(1, 6)]


def champion(location: Location, model: str = "bikes") -> int | None:
    found = location.registry.champion(model)
    return None if found is None else found.version


def failures(runs: list[Any]) -> list[str]:
    """Why runs failed; none should have."""
    return [str(event.step_failure_data.error) for run in runs for event in run.all_events if event.is_step_failure]


def test_the_model_of_the_first_page_becomes_champion(project):
    project.follow("index.md")
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert champion(location) == 1


def test_a_feature_function_serves_training_and_scoring(project):
    project.follow("how-to/features.md")
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert champion(location) == 1
        shown = {row["feature"] for row in location.table("bikes", "evaluation", "features")}
        assert {"temperature", "clock", "weekday", "week_ago"} <= shown


def test_a_parameter_by_the_name_of_a_column_and_predictions_by_another_tool(project):
    import mlflow.pyfunc
    import numpy as np
    import pandas as pd

    project.follow("how-to/estimators.md")
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        by_pyfunc = mlflow.pyfunc.load_model(location.registry.champion("bikes").source)
    warmer = pd.DataFrame({"clock": 12, "temperature": np.linspace(-5, 30, 30)})
    assert (np.diff(by_pyfunc.predict(warmer)) >= 0).all() and np.ptp(by_pyfunc.predict(warmer)) > 20


def test_a_search_with_workers_is_tracked_and_names_its_engine(project):
    project.follow("how-to/engine.md")
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert champion(location) == 1
        assert len(location.table("bikes", "challenger", "trials")) == 6


def test_a_rare_class_is_found_by_a_tuned_threshold(project):
    import numpy as np
    import pandas as pd

    project.follow("how-to/imbalance.md")
    (project.folder / "data/payments").mkdir()
    drawn = np.random.default_rng(3)
    for month in MONTHS:
        amount, abroad = drawn.exponential(50, 600), drawn.integers(0, 2, 600)
        fraud = drawn.random(600) < 1 / (1 + np.exp(5 - 0.02 * amount - abroad))
        rows = pd.DataFrame({"amount": amount, "abroad": abroad, "label": np.where(fraud, "fraud", "fine")})
        rows.to_csv(project.folder / f"data/payments/{month}.csv", index=False)
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert champion(location, "fraud") == 1
        assert location.run("fraud/predictions", batch=MONTHS[-1]).success
        version = latest(location.storage, "fraud", "predictions", MONTHS[-1])
        said = location.storage.read_frame("fraud", "predictions", MONTHS[-1], version)
    found = said[said["prediction"] == "fraud"]
    assert 0.5 < len(found) / (rows["label"] == "fraud").sum() < 2 and found["score"].min() < 0.4


def test_a_function_of_ones_own_decides_and_a_business_figure_is_drawn(project):
    project.follow("how-to/own-metric.md")
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert champion(location) == 1
        shown = location.shown("bikes", "evaluation")
        assert 0 < shown["defs.bikes.costs:turned_away"] < 5
        assert shown["neg_median_absolute_error"] < 0 and shown["r2"] > 0.5
        again = ("bikes/training_set", "bikes/challenger", "bikes/evaluation", "bikes/champion")
        assert location.run(*again, bikes__challenger={"params": {"alpha": 1_000}}).success
        assert champion(location) == 1
        assert "defs.bikes.costs:turned_away worsens by" in location.shown("bikes", "champion")["reason"]
        assert location.run("bikes/predictions", batch="2024-05").success
        assert location.run("bikes/empty_stations", batch="2024-05").success
        assert location.shown("bikes", "empty_stations")["turned_away"] > 0


@pytest.mark.parametrize(("limit", "crowned"), [("15", 1), ("1", None)])
def test_a_check_of_ones_own_holds_back_a_challenger_where_declared_gates_do_not(limit, crowned, project):
    project.follow("how-to/own-gate.md")
    check = project.folder / "defs/bikes/every_station.py"
    check.write_text(check.read_text().replace("< 15", f"< {limit}"))
    with project.location() as location:
        assert len(failures(location.left_to_itself())) == (0 if crowned else 1)
        assert champion(location) == crowned
        assert [version.version for version in location.registry.versions("bikes")] == [1]


def test_a_bound_on_a_function_of_ones_own_is_a_gate(project):
    project.follow("how-to/own-gate.md")
    model = project.folder / "defs/bikes/model.py"
    model.write_text(model.read_text().replace('turned_away": 5.0', 'turned_away": 0.1'))
    with project.location() as location:
        location.left_to_itself()
        assert champion(location) is None
        assert [version.version for version in location.registry.versions("bikes")] == [1]
        told = [
            each.reason for each in decisions(location.instance, ModelRecords(declared("bikes"), location.storage), 20)
        ]
        assert any(
            re.search(r"quality: defs.bikes.costs:turned_away is 0.78\d*; expected at most 0.1", why) for why in told
        )


def test_a_sensor_of_ones_own_asks_for_a_training_once_for_each_tariff(project):
    project.follow("how-to/own-sensor.md")
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert location.tick("new_tariff") == []
        tariff = project.folder / "data/tariff.json"
        for price in ("2.00", "2.50"):
            tariff.write_text(price)
            (run,) = location.tick("new_tariff")
            assert run.success and run.job_def.name == "bikes_training"
            assert run.dagster_run.tags["asked_by"] == "a new tariff"
            assert location.tick("new_tariff") == []
        assert [version.version for version in location.registry.versions("bikes")] == [1]  # the same data


def test_a_rule_of_ones_own_promotes_what_waits_except_during_a_freeze(project):
    project.follow("how-to/own-decision.md")
    freeze = project.folder / "data/freeze.txt"
    freeze.write_text("year's end")
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert location.tick("release") == [] and champion(location) is None
        freeze.unlink()
        (run,) = location.tick("release")
        assert run.success and run.job_def.name == "bikes_approve"
        assert champion(location) == 1
        assert location.shown("bikes", "champion")["decided_by"] == "release rule"
        assert location.tick("release") == []


def test_rows_are_scored_before_their_labels_are_there(project):
    write_late_labels(project.folder)
    project.follow("how-to/delayed-labels.md")
    with project.location() as location:
        location.left_to_itself()
        assert champion(location, "trips") == 1
        roles = {row["batch"]: row["role"] for row in location.table("trips", "training_set", "batches")}
        assert roles == {**dict.fromkeys(MONTHS[:3], "train"), "2024-04": "holdout", "2024-05": "out"}
        assert location.run("trips/predictions", "trips/performance", batch="2024-05").success
        assert location.shown("trips", "predictions")["rows"] == 1344
        assert location.shown("trips", "performance")["verdict"] == "insufficient labels"


def test_what_may_be_promoted_waits_for_a_person(project):
    project.follow("how-to/approval.md")
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert champion(location) is None
        assert location.shown("bikes", "champion")["waiting_for_approval"] == 1
        project.commands("how-to/approval.md")
        assert champion(location) == 1
        assert location.shown("bikes", "champion")["decided_by"] == "ada"


def test_a_person_goes_back_to_a_former_champion(project):
    project.follow("how-to/rollback.md")
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert champion(location) == 1
        again = ("bikes/training_set", "bikes/challenger", "bikes/champion")
        assert location.run(*again, bikes__challenger={"params": {"alpha": 0.01}}).success
        assert [version.version for version in location.registry.versions("bikes")] == [2, 1]
        promote = {"action": "promote", "version": 2, "by": "bo", "reason": "to have two"}
        assert location.run("bikes/champion", bikes__champion=promote).success and champion(location) == 2
        told = project.commands("how-to/rollback.md")
        assert "complaints since Monday" in " ".join(told.split())
        assert champion(location) == 1
        assert location.shown("bikes", "champion")["decided_by"] == "ada"


def test_each_kind_of_source_gives_a_champion(project, monkeypatch):
    monkeypatch.setenv("WAREHOUSE_URL", f"sqlite:///{project.folder / 'warehouse.db'}")
    write_journals(project.folder)
    project.follow("how-to/own-source.md")
    models = ("bikes", "trips", "rides", "hires")  # of the last two, one is declared in YAML
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert [champion(location, model) for model in models] == [1, 1, 1, 1]
        for model in ("bikes", "rides", "hires"):
            assert location.instance.get_dynamic_partitions(f"{model}_batches") == MONTHS
        (project.folder / "data/journal/2024-06.jsonl").write_text("not JSON\n")
        assert [
            "the journal of 2024-06 is not JSON lines" in failure for failure in failures(location.left_to_itself())
        ] == [True, True]
        assert location.left_to_itself() == []


def test_a_project_needs_no_python(project):
    project.follow("how-to/yaml.md", commands=True)
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert champion(location, "rentals") == 1
        assert "temperature" in {each["kwargs"].get("column") for each in location.inferred_suite("rentals")}
        (schedule,) = location.defs.schedules
        assert (schedule.cron_schedule, schedule.execution_timezone) == ("0 3 * * 1", "Europe/Berlin")
        stopped = [sensor.name for sensor in location.defs.sensors if sensor.default_status.value == "STOPPED"]
        assert stopped == ["alerts"]
    file = project.folder / "defs/rentals/defs.yaml"
    file.write_text(file.read_text().replace("30D", "30 days"))
    (shown,) = [block.text.strip() for block in blocks("how-to/yaml.md") if block.language == "text"]
    with pytest.raises(Exception, match="Error while loading component") as found, project.location():
        pass
    assert str(found.value.__cause__) == shown


def test_segments_are_models_of_their_own(project):
    project.follow("how-to/many-models.md")
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert (champion(location, "bikes_north"), champion(location, "bikes_south")) == (1, 1)
        assert location.shown("bikes_north", "dataset")["rows"] == 672
    assert [pipeline.name for pipeline in project.namespace["pipelines"]] == ["trips_north", "trips_south"]


def test_a_fleet_is_one_model_of_many_stores(project):
    import numpy as np
    import pandas as pd

    project.follow("how-to/fleet.md")
    (project.folder / "data/sales").mkdir(parents=True)
    random = np.random.default_rng(3)
    for number, month in enumerate(MONTHS):
        store = np.tile(np.arange(4), 200)
        moment = pd.Timestamp("2024-01-01") + pd.to_timedelta(number * 30 * 24 + np.arange(800) // 4, unit="h")
        discount = random.random(800)
        slope = np.where(store == 3, -5, 5)
        sold = 20 + slope * discount + random.normal(size=800)
        rows = pd.DataFrame({"hour": moment, "store": store, "discount": discount, "sold": sold})
        rows.to_csv(project.folder / f"data/sales/{month}.csv", index=False)
    with project.location() as location:
        assert failures(location.left_to_itself()) == []
        assert champion(location, "sales") == 1
        table = {row["segment"]: row["model"] for row in location.table("sales", "challenger", "segment_models")}
    assert set(table) == {"0", "1", "2", "3"} and table["3"] == "own"
    said = project.commands("how-to/fleet.md")
    assert said.splitlines()[0] == "sales version 1: 4 segments, 4 with a model of their own"


def test_an_existing_project_gets_a_model_by_two_files(project):
    project.follow("how-to/existing-project.md")
    with project.location() as location:
        for month in MONTHS:
            assert location.run("lake/rentals", batch=f"{month}-01").success
        assert failures(location.left_to_itself()) == []
        assert champion(location) == 1
        (batch, *_) = location.instance.get_dynamic_partitions("bikes_batches")
        assert location.run("bikes/predictions", batch=batch).success
        assert location.run("busy_hours", batch=batch).success
        found = project.commands("how-to/existing-project.md", ends_with=1)
        faults = [line for line in found.splitlines() if line.startswith("fault ")]
        assert len(faults) == 1 and "daemon" in faults[0], found  # none runs here


def test_alerts_are_sent_to_the_services_of_the_environment(project, monkeypatch):
    project.follow("how-to/alerts.md")
    with project.location() as location:
        assert location.defs.resources["mlops_alerts"].ui_url == "https://dagster.example.com"
