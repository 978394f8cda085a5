"""Records that are cut or misshaped: each is skipped and named, and the record of a champion is never overlooked."""

import json
from dataclasses import asdict

import pytest

from mlops_assets.assets.promotion.alias_state import standing_of
from mlops_assets.cli.doctor.records import records
from mlops_assets.errors import DamagedRecordError
from mlops_assets.resources.batch_ledger import BatchLedger, BatchRecord
from mlops_assets.resources.batch_reports import BatchReport, BatchReports
from mlops_assets.resources.champion_record import champion_record
from mlops_assets.resources.damaged_records import damaged_records
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.resources.training_ledger import TrainingLedger, TrainingRecord

AT = "2024-05-01T10:00:00+00:00"
BATCH = BatchRecord("may", "accepted", "run", "v1", 10, 10, "2024-05-01T00:00:00", mark="m", features="f")
CUT = [b"", b"{", b'{"batch": "may", "sta', b"\xff\xfe", b"[" * 100_000]
MISSHAPED = [None, [], {}, "may", 7, {"batch": "may"}]


@pytest.fixture
def storage(tmp_path):
    """Records of a model `tides`, two of a kind."""
    made = Storage(root=str(tmp_path))
    ledger, trainings, reports = BatchLedger(made, "tides"), TrainingLedger(made, "tides"), BatchReports(made, "tides")
    for name in ("april", "may"):
        ledger.put(BatchRecord(**{**asdict(BATCH), "batch": name}))
        trainings.put(TrainingRecord(name, "decl", "judged", "run", AT, 1, "promote", "better"))
        reports.put("drift", BatchReport(name, "v1-f", 1, "drift", "p", "run", AT, {"p": float("nan")}))
    return made


def damage(storage, content, *parts):
    path = storage.path_of("tides", *parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.mark.promise(4)
@pytest.mark.parametrize("content", [*CUT, *(json.dumps(value).encode() for value in MISSHAPED)], ids=lambda c: c[:9])
def test_one_damaged_record_stops_one_record(storage, content):
    places = [("batches", "may"), ("trainings", "may-decl"), ("reports", "drift", "may")]
    for place in places:
        damage(storage, content, *place)
    assert [*BatchLedger(storage, "tides").records()] == ["april"]
    assert BatchLedger(storage, "tides").get("may") is None
    assert [each.data_version for each in TrainingLedger(storage, "tides").all()] == ["april"]
    assert TrainingLedger(storage, "tides").get("may", "decl") is None
    assert [*BatchReports(storage, "tides").all("drift")] == ["april"]
    assert BatchReports(storage, "tides").get("drift", "may") is None
    found = list(damaged_records(storage, "tides"))
    assert sorted(each.file for each in found) == sorted("/".join(place) + ".json" for place in places)
    assert all(str(storage.path_of("tides", *each.file[:-5].split("/"))) in each.reason for each in found)
    BatchLedger(storage, "tides").put(BATCH)
    assert [*BatchLedger(storage, "tides").records()] == ["april", "may"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("rows", "many"), ("status", "perhaps"), ("reasons", None), ("start", "soon"), ("mark", {"a": 1})],
)
def test_a_field_of_another_kind_is_named(storage, field, value):
    storage.write_json("tides", "batches", "may", value={**asdict(BATCH), field: value})
    [found] = damaged_records(storage, "tides")
    assert found.file == "batches/may.json" and f"is not a BatchRecord ({field}" in found.reason
    assert [*BatchLedger(storage, "tides").records()] == ["april"]


def test_a_field_that_a_newer_release_added_does_no_harm(storage):
    storage.write_json("tides", "batches", "may", value={**asdict(BATCH), "colour": "red"})
    assert BatchLedger(storage, "tides").get("may") == BATCH


def test_a_batch_that_a_person_took_out_stays_out_where_that_record_is_damaged(storage):
    ledger = BatchLedger(storage, "tides")
    ledger.exclude("april", "ada", "flawed")
    ledger.exclude("april", "ada", "")
    ledger.exclude("may", "ada", "flawed")
    assert not [*damaged_records(storage, "tides")]
    for content in (b"{", b'{"by": 3}', b"[1]"):
        damage(storage, content, "excluded", "may")
        assert ledger.get("may").excluded and ledger.records()["may"].excluded
        assert not ledger.get("april").excluded
        assert [each.file for each in damaged_records(storage, "tides")] == ["excluded/may.json"]


@pytest.mark.promise(9)
@pytest.mark.parametrize("content", [*CUT, *(json.dumps(value).encode() for value in MISSHAPED)], ids=lambda c: c[:9])
def test_a_damaged_record_of_the_champion_is_not_a_model_without_one(storage, content):
    assert champion_record(storage, "tides") is None
    damage(storage, content, "champion")
    with pytest.raises(DamagedRecordError, match=r"champion\.json"):
        champion_record(storage, "tides")
    with pytest.raises(DamagedRecordError, match=r"champion\.json"):  # the registry is not even asked
        standing_of("tides", storage, MlflowRegistry(tracking_uri="http://127.0.0.1:9"), had_champion=False)
    assert [each.file for each in damaged_records(storage, "tides")] == ["champion.json"]


def test_the_doctor_names_each_damaged_record(storage):
    assert [each.severity for each in records(storage.root, ["tides", "unborn"])] == ["fine"]
    damage(storage, b"{", "champion")
    damage(storage, b"{}", "trainings", "may-decl")
    champion, training = records(storage.root, ["tides", "unborn"])
    assert (champion.name, training.name) == ("record tides/champion.json", "record tides/trainings/may-decl.json")
    assert {champion.severity, training.severity} == {"fault"} and "No decision is made" in champion.why
