"""Records that are cut or misshaped: each is skipped and named, and the record of a champion is never overlooked."""

import json
from dataclasses import asdict, replace

import pytest

from mlops_assets.cli.doctor.records import records
from mlops_assets.errors import DamagedRecordError
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.damaged import damaged_records
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.records.reports import BatchReport, BatchReports
from mlops_assets.records.trainings import TrainingLedger, TrainingRecord
from mlops_assets.resources.storage import Storage
from support.ledger_rows import put_value, spoil, value_of

AT = "2024-05-01T10:00:00+00:00"
BATCH = BatchRecord(
    "may", "accepted", "run", version="v1", rows=10, labelled=10, start="2024-05-01T00:00:00", mark="m", features="f"
)
CUT = ["", "{", '{"batch": "may", "sta', "[" * 100_000]
MISSHAPED = [None, [], {}, "may", 7, {"batch": "may"}]


@pytest.fixture
def storage(tmp_path):
    """Records of a model `tides`, two of a kind."""
    made = Storage(root=str(tmp_path))
    ledger, trainings, reports = BatchLedger(made, "tides"), TrainingLedger(made, "tides"), BatchReports(made, "tides")
    for name in ("april", "may"):
        ledger.put(BatchRecord(**{**asdict(BATCH), "batch": name}))
        trainings.put(
            TrainingRecord(
                data_version=name,
                declaration_version="decl",
                status="judged",
                run_id="run",
                at=AT,
                version=1,
                verdict="promote",
                reason="better",
            )
        )
        reports.put(
            "drift",
            BatchReport(
                batch=name,
                identity="v1-f",
                model_version=1,
                verdict="drift",
                reason="p",
                run_id="run",
                at=AT,
                figures={"p": float("nan")},
            ),
        )
    return made


def names(storage):
    return sorted(f"{each.kind}/{each.key}" for each in damaged_records(storage, "tides"))


@pytest.mark.promise(4)
@pytest.mark.parametrize("content", [*CUT, *map(json.dumps, MISSHAPED)], ids=lambda c: c[:9])
def test_one_damaged_record_stops_one_record(storage, content):
    places = [("batches", "may"), ("trainings", "may-decl"), ("reports/drift", "may")]
    for place in places:
        spoil(storage, "tides", *place, content)
    assert [*BatchLedger(storage, "tides").records()] == ["april"]
    assert BatchLedger(storage, "tides").get("may") is None
    assert [each.data_version for each in TrainingLedger(storage, "tides").all()] == ["april"]
    assert TrainingLedger(storage, "tides").get("may", "decl") is None
    assert [*BatchReports(storage, "tides").all("drift")] == ["april"]
    assert BatchReports(storage, "tides").get("drift", "may") is None
    assert names(storage) == sorted("/".join(place) for place in places)
    for each in damaged_records(storage, "tides"):
        assert f"record tides/{each.kind}/{each.key} in {storage.root}/records.db is not a" in each.reason
    BatchLedger(storage, "tides").put(BATCH)
    assert [*BatchLedger(storage, "tides").records()] == ["april", "may"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("rows", "many"), ("status", "perhaps"), ("reasons", None), ("start", "soon"), ("mark", {"a": 1})],
)
def test_a_field_of_another_kind_is_named(storage, field, value):
    put_value(storage, "tides", "batches", "may", {**asdict(BATCH), field: value})
    [found] = damaged_records(storage, "tides")
    assert (found.kind, found.key) == ("batches", "may") and f"is not a BatchRecord ({field}" in found.reason
    assert [*BatchLedger(storage, "tides").records()] == ["april"]


def test_a_field_that_a_newer_release_added_does_no_harm(storage):
    put_value(storage, "tides", "batches", "may", {**asdict(BATCH), "colour": "red"})
    ledger = BatchLedger(storage, "tides")
    assert ledger.get("may") == BATCH
    ledger.put(replace(BATCH, rows=11))  # and is kept by this one
    kept = value_of(storage, "tides", "batches", "may")
    assert (kept["colour"], kept["rows"]) == ("red", 11)


def test_a_batch_that_a_person_took_out_stays_out_where_that_record_is_damaged(storage):
    ledger = BatchLedger(storage, "tides")
    ledger.exclude("april", "ada", "flawed")
    ledger.exclude("april", "ada", "")
    ledger.exclude("may", "ada", "flawed")
    assert not [*damaged_records(storage, "tides")]
    for content in ("{", '{"by": 3}', "[1]"):
        spoil(storage, "tides", "excluded", "may", content)
        assert ledger.get("may").excluded and ledger.records()["may"].excluded
        assert not ledger.get("april").excluded
        assert names(storage) == ["excluded/may"]


@pytest.mark.promise(9)
@pytest.mark.parametrize("content", [*CUT, *map(json.dumps, MISSHAPED)], ids=lambda c: c[:9])
def test_a_damaged_record_of_the_champion_is_not_a_model_without_one(storage, content):
    assert PromotionLedger(storage, "tides").champion() is None
    spoil(storage, "tides", "promotions", "000001", content)
    ledger = PromotionLedger(storage, "tides")
    for ask in (ledger.champion, ledger.under_way, ledger.all):
        with pytest.raises(DamagedRecordError, match="record tides/promotions/000001"):
            ask()
    assert names(storage) == ["promotions/000001"]


def test_the_doctor_names_each_damaged_record(storage):
    store, all_sound = records(storage, ["tides", "unborn"])
    assert (store.severity, all_sound.severity) == ("fine", "fine")
    assert store.found == f"{storage.root}/records.db: schema 0001; this release writes schema 0001"
    spoil(storage, "tides", "promotions", "000001")
    spoil(storage, "tides", "trainings", "may-decl", "{}")
    _, champion, training = records(storage, ["tides", "unborn"])
    assert (champion.name, training.name) == ("record tides/promotions/000001", "record tides/trainings/may-decl")
    assert {champion.severity, training.severity} == {"fault"} and "No decision is made" in champion.why
