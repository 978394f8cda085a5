"""The examples on their real data: what they are hard for happens, is noticed, and is mended by retraining."""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from defs.doctor_visits import model as doctor_visits
from examples.bike_demand import model as bike_demand
from examples.electricity import model as electricity
from examples.hotel_cancellations import model as hotel_cancellations
from mlops_assets import Folder, Frame
from mlops_assets.assets.shared.keys import declared
from mlops_assets.decisions.drift.batch_drift import Pair, drift
from mlops_assets.modelling.predictions import predict
from support.deployment import REPOSITORY, DeployedModel, Deployment, failed, plain, why

NOWHERE = "not/a/folder"
DATA = Path(os.environ.get("MLOPS_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"the examples' data is not there: {DATA} (set MLOPS_TEST_DATA to its folder)"
)


def test_declaring_the_examples_reads_no_data_and_imports_nothing_heavy():
    heavy = {"pandas", "sklearn", "mlflow", "great_expectations", "evidently", "matplotlib"}
    names = ("bike_demand", "electricity", "hotel_cancellations")
    code = "import sys\n" + "".join(f"from examples.{name}.model import {name}\n{name}()\n" for name in names)
    found = subprocess.run(
        [sys.executable, "-c", f"{code}print(sorted({heavy} & set(sys.modules)))"],
        **{"cwd": REPOSITORY, "env": {**os.environ, "MLOPS_TEST_DATA": NOWHERE}},
        **{"capture_output": True, "text": True, "check": False},
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == "[]"


@needs_data
@pytest.mark.slow
def test_bike_demand_outgrows_a_frozen_model(deployment: Deployment, tmp_path: Path):
    """The months arrive as files in a landing folder, as a user's would."""
    whole = bike_demand.hourly_rentals()
    for month, rows in whole.groupby(whole["timestamp"].dt.strftime("%Y-%m")):
        rows.to_csv(tmp_path / f"{month}.csv", index=False)
    landing = Folder(str(tmp_path / "*.csv"), time="timestamp")
    looked = landing.look({})
    assert not looked.ready and looked.waiting[0].reason.startswith("new")  # it could still be growing
    assert list(landing.look(looked.seen).ready) == months("2011-01", "2012-12")

    model = example(deployment, bike_demand, source=landing)
    warned = prepare(model, months("2011-02", "2011-07"))
    assert warned == {
        "2011-02": {"table_row_count_to_be_between"},
        "2011-03": {"hum_values_to_be_between"},  # a day of a broken sensor
    }
    train(model)
    first = model.shown("evaluation")
    assert first["r2"] > 0.85
    assert {row["value"] for row in first["slices"] if row["slice"] == "workingday"} == {"0", "1"}
    assert not {"casual", "registered", "season", "timestamp"} & set(features_of(model, "2011-07"))

    late = take_in(model, "2012-09")
    assert late.alarms == {"no_decay"}  # the weather of a month is worth few independent rows: it is no evidence
    weather = next(row for row in model.shown("drift")["features"] if row["feature"] == "temp")
    assert weather["effect"] > 0.4 and "independent rows" in weather["note"]
    assert late.performance["rmse"] > 2.5 * first["rmse"]
    assert model.predictions("2012-09")["model_version"].unique() == [1]

    prepare(model, months("2012-05", "2012-08"))
    train(model)
    assert_promoted(model, "rmse", at_least=0.5 * late.performance["rmse"])
    assert model.shown("evaluation")["r2"] > 0.85
    assert take_in(model, "2012-10").performance["rmse"] < 0.6 * late.performance["rmse"]
    assert model.predictions("2012-10")["model_version"].unique() == [2]


@needs_data
def test_one_year_of_months_does_not_tell_whether_demand_has_grown():
    rows = bike_demand.hourly_rentals().sort_values("timestamp")
    month = rows["timestamp"].dt.strftime("%Y-%m")
    before, now = rows[month < "2012"], rows[month == "2012-09"]
    names = ["temp", "hum", "windspeed", "weathersit", "hr", "weekday"]
    found = drift(
        *(before, now, names),
        times=(before["timestamp"], now["timestamp"]),
        season=["month", "hour"],
        extra=[Pair(name="cnt", kind="target", reference=before["cnt"], batch=now["cnt"])],
    )
    assert {entry.verdict for entry in found.features} == {"unknown"}
    assert found.features[0].note.startswith("the reference holds one September; two are needed")
    unseen = drift(
        *(before[before["timestamp"].dt.month < 7], now, names),
        times=(before["timestamp"][before["timestamp"].dt.month < 7], now["timestamp"]),
        season=["month"],
    )
    assert unseen.verdict == "unknown" and "that the reference lacks" in unseen.features[0].note


@pytest.mark.slow
@needs_data
def test_electricity_changes_what_drives_it(deployment: Deployment):
    model = example(deployment, electricity)
    unconnected, before = "vicprice_unique_value_count_to_be_between", months("1996-06", "1996-11")
    assert prepare(model, before) == {month: {unconnected} for month in before}
    assert model.challenge().success
    assert_same_by_pyfunc(model)
    table = {row["model"]: row for row in model.shown("challenger")["against_baselines"]}
    assert table["previous"]["accuracy"] == pytest.approx(0.853, abs=0.005)
    assert table["challenger"]["accuracy"] > 0.88 and table["challenger"]["roc_auc"] > 0.95

    connected = take_in(model, "1997-05")  # Victoria's prices arrive for the first time
    assert "no_drift" in connected.alarms and unconnected not in connected.alarms
    assert drifted(model) >= {"vicprice", "vicdemand", "transfer"}
    changed = take_in(model, "1998-01")
    assert {"no_drift", "no_decay"} <= changed.alarms
    assert changed.performance["roc_auc"] < 0.85 and changed.performance["accuracy"] < table["previous"]["accuracy"]

    prepare(model, [*months("1997-11", "1997-12"), *months("1998-02", "1998-03")])
    train(model)
    assert_promoted(model, "log_loss", at_least=1.0)
    assert model.shown("evaluation")["roc_auc"] > 0.9


@pytest.mark.slow
@needs_data
def test_hotel_cancellations_meet_other_guests(deployment: Deployment):
    model = example(deployment, hotel_cancellations)
    assert prepare(model, months("2015-12", "2016-04")) == {}
    stored = model.storage.read_frame(model.name, "dataset", "2016-04", str(model.record("2016-04").version))
    assert not stored.duplicated().any()
    assert not stored.select_dtypes(exclude="number").isin(["NULL", "NA", "Undefined"]).any().any()
    assert stored["agent"].isna().mean() > 0.1 and pd.api.types.is_string_dtype(stored["agent"])
    assert not set(hotel_cancellations.AFTERWARDS) & set(features_of(model, "2016-04"))
    assert model.challenge().success
    assert_same_by_pyfunc(model)
    table = {row["model"]: row for row in model.shown("challenger")["against_baselines"]}
    assert table["challenger"]["roc_auc"] > 0.8
    # Within a day the file is ordered by the label, which repeats in 99.5% of its rows: that must not count.
    assert table["previous"]["accuracy"] < 0.7

    other = take_in(model, "2017-08")
    assert {"no_drift", "no_decay"} <= other.alarms
    assert other.performance["roc_auc"] < 0.75
    assert {"country", "agent"} <= drifted(model)
    assert {"country", "agent"} <= {row["feature"] for row in model.shown("predictions")["unseen_categories"]}

    prepare(model, months("2017-04", "2017-07"))
    train(model)
    assert_promoted(model, "log_loss", at_least=0.1)
    assert model.shown("evaluation")["roc_auc"] > 0.8


@pytest.mark.slow
@needs_data
def test_columns_that_hold_the_answer_keep_a_model_from_the_alias(deployment: Deployment):
    """A column that tells the target alone fails `no_leakage`, and so do two that add up to it."""
    hotel = example(deployment, hotel_cancellations, name="hotel_with_status", drop=[])
    prepare(hotel, ["2015-11", "2016-01"])
    reasons = failed(hotel.challenge())
    assert reasons["no_leakage"].startswith("'reservation_status' (AUC 1.00000")
    assert hotel.champion() is None
    assert_same_by_pyfunc(hotel)

    bike = example(deployment, bike_demand, name="bike_with_parts", drop=[], search=None)
    prepare(bike, ["2011-05", "2011-06"])
    result = bike.challenge()
    assert failed(result)["no_leakage"].startswith("'casual + registered' (r2 of their sum, together 1.00000")
    assert "no better than" in failed(result)["beats_baseline"] and "'linear'" in failed(result)["beats_baseline"]
    assert bike.champion() is None
    assert_same_by_pyfunc(bike)


@pytest.mark.slow
def test_doctor_visits_in_random_order_raise_no_alarm(deployment: Deployment):
    model = example(deployment, doctor_visits, name="doctor_visits_shuffled")
    assert prepare(model, numbered(1, 8)) == {}
    assert model.challenge().success
    assert_same_by_pyfunc(model)
    for batch in numbered(9, 13):
        assert take_in(model, batch).alarms == set(), batch


@pytest.mark.slow
def test_doctor_visits_in_file_order_show_where_another_site_begins(deployment: Deployment):
    model = example(deployment, doctor_visits, name="doctor_visits_by_site", source=Frame(in_file_order))
    prepare(model, numbered(6, 12))
    assert model.challenge().success
    assert_same_by_pyfunc(model)
    alarms = {batch: take_in(model, batch).alarms for batch in numbered(13, 16)}
    # Households stand together, so some feature drifts in every batch; decay comes with the shift, not before it.
    assert all("no_drift" in names for names in alarms.values())
    assert [batch for batch, names in alarms.items() if "no_decay" in names] == numbered(15, 16)


class TakenIn:
    """What a batch run found: the checks that did not pass, and the metrics of the champion."""

    def __init__(self, result: dg.ExecuteInProcessResult) -> None:
        events = {event.asset_key.path[-1]: event for event in result.get_asset_materialization_events()}
        self.alarms = set(failed(result))
        self.performance: dict[str, Any] = plain(events["performance"].materialization.metadata)


def example(deployment: Deployment, module: ModuleType, **changes: Any) -> DeployedModel:
    """The model that a module declares, these fields changed, without Evidently's pages, which take 10 s each."""
    name = module.__name__.split(".")[-2]
    getattr(module, name)()
    pipeline = declared(name).model_copy(update={"pages": "never", **changes})
    return DeployedModel(deployment, pipeline, deployment.home / "landing" / pipeline.name)


def prepare(model: DeployedModel, batches: Iterable[str]) -> dict[str, set[str]]:
    """Take batches in as far as training needs them; the checks that warned, by batch."""
    warned = {}
    for batch in batches:
        result = model.materialize("dataset", "features", batch=batch)
        assert result.success, why(result)
        if failed(result):
            warned[batch] = set(failed(result))
    return warned


def train(model: DeployedModel) -> None:
    result = model.train()
    assert result.success, why(result)
    assert failed(result) == {}
    assert_same_by_pyfunc(model)


def assert_same_by_pyfunc(model: DeployedModel) -> None:
    """The newest version scores the features of its batches, as stored, by pyfunc as it does for the pack."""
    import mlflow.pyfunc

    version = max(model.registry.versions(model.name), key=lambda each: each.version)
    ours, by_pyfunc = model.registry.load(version), mlflow.pyfunc.load_model(version.source)
    records = [record for record in model.ledger.all() if record.features]
    assert records
    for record in records[:3]:
        X = model.storage.read_frame(model.name, "features", record.batch, str(record.features))
        assert list(by_pyfunc.predict(X)) == list(predict(ours, X).value), record.batch


def take_in(model: DeployedModel, batch: str) -> TakenIn:
    result = model.take_in(batch)
    assert result.success, why(result)
    return TakenIn(result)


def assert_promoted(model: DeployedModel, metric: str, at_least: float) -> None:
    """Version 2 is champion since it is better than version 1 on the same rows, by this much in the metric's units."""
    shown = model.shown("champion")
    assert (model.champion(), shown["verdict"], shown["version_before"]) == (2, "promote", 1), shown["reason"]
    assert shown["improvement"] > at_least
    found = {row["model"]: row["value"] for row in model.shown("evaluation")["metrics"] if row["metric"] == metric}
    assert found["champion v1"] - found["challenger v2"] == pytest.approx(shown["improvement"], rel=1e-3)


def drifted(model: DeployedModel) -> set[str]:
    """Features that drifted in the batch taken in last."""
    return {row["feature"] for row in model.shown("drift")["features"] if row["verdict"] == "drift"}


def features_of(model: DeployedModel, batch: str) -> list[str]:
    version = str(model.record(batch).features)
    return list(model.storage.read_frame(model.name, "features", batch, version).columns)


def months(first: str, last: str) -> list[str]:
    return [str(month) for month in pd.period_range(first, last, freq="M")]


def numbered(first: int, last: int) -> list[str]:
    return [f"batch-{number:02d}" for number in range(first, last + 1)]


def in_file_order() -> Iterator[tuple[str, pd.DataFrame]]:
    """Batches of 1,000 rows as they stand in the file: at about row 14,000 begins another site."""
    frame, size = doctor_visits.randhie(), doctor_visits.ROWS_A_BATCH
    for number, start in enumerate(range(0, len(frame), size), start=1):
        yield f"batch-{number:02d}", frame.iloc[start : start + size].reset_index(drop=True)
