"""The level of a batch follows from how many came in the period before it, and how many of those were alarms."""

from datetime import datetime, timedelta

import pytest

from mlops_assets import Drift, Folder, ModelPipeline
from mlops_assets.assets.batch.alarm_budget import alarm_level
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.reports import BatchReport, BatchReports
from mlops_assets.resources.storage import Storage


def model(**rules) -> ModelPipeline:
    return ModelPipeline(
        name="shop",
        source=Folder("landing/*.csv"),
        target="y",
        estimator="sklearn.linear_model.Ridge",
        time="day",
        drift=Drift(**rules),
    )


def arrived(storage: Storage, batches: int, apart: timedelta, alarms: int = 0, timed: bool = True) -> BatchRecord:
    """So many batches, each `apart` from the next, the last ones of which raised an alarm; the newest."""
    ledger, reports = BatchLedger(storage, "shop"), BatchReports(storage, "shop")
    for number in range(batches):
        at = datetime(2024, 1, 1) + number * apart
        record = BatchRecord(
            f"b{number:04d}",
            "accepted",
            "r",
            version="v",
            rows=10,
            labelled=10,
            start=at.isoformat() if timed else None,
        )
        ledger.put(record)
        word = "drift" if number >= batches - 1 - alarms else "no drift"
        for kind, verdict in (("predictions", "scored"), ("drift", word)):
            report = BatchReport(
                batch=record.batch,
                identity="v",
                model_version=1,
                verdict=verdict,
                reason="",
                run_id="r",
                at=f"{at.isoformat()}+00:00",
            )
            reports.put(kind, report)
    return record


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage(root=str(tmp_path))


def test_few_batches_are_held_against_alpha(storage):
    newest = arrived(storage, 30, timedelta(days=1))
    level = alarm_level(ModelRecords(model(), storage), newest)
    assert level.value == 0.01
    assert level.reason == "alarm below p 0.01: 30 batches in 90D stay within 1 false alarm"


@pytest.mark.parametrize("timed", [True, False])
def test_many_batches_share_the_false_alarms_that_are_allowed_and_alarms_earn_some_back(storage, timed):
    newest = arrived(storage, 400, timedelta(hours=6), timed=timed)  # 360 of them in 90 days
    assert alarm_level(ModelRecords(model(), storage), newest).value == pytest.approx(0.95 / 360)
    newest = arrived(storage, 400, timedelta(hours=6), alarms=20, timed=timed)
    level = alarm_level(ModelRecords(model(), storage), newest)
    assert level.value == pytest.approx((0.95 + 0.05 * 20) / 360)
    assert level.reason == "alarm below p 0.0054: 1 false alarm in 90D over 360 batches, 20 alarms before"
    assert alarm_level(ModelRecords(model(false_alarms=0.1), storage), newest).value == pytest.approx((0.095 + 1) / 360)
    assert alarm_level(ModelRecords(model(period="1D"), storage), newest).value == 0.01


def test_the_same_batch_is_judged_alike_again(storage):
    arrived(storage, 200, timedelta(hours=1))
    middle = BatchLedger(storage, "shop").accepted("b0100")
    assert alarm_level(ModelRecords(model(), storage), middle) == alarm_level(ModelRecords(model(), storage), middle)
    assert alarm_level(ModelRecords(model(), storage), middle).value == pytest.approx(0.95 / 101)
