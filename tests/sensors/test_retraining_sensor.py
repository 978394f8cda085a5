"""The sensor `retraining` and the schedules, tick by tick on records as the steps of runs leave them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from mlops_assets.assets.shared.keys import DATA_VERSION, DECLARATION_VERSION, KIND, MODEL, declared
from mlops_assets.assets.training.training_set import split
from mlops_assets.modelling.manifest import Manifest
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.manifests import read_manifest
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.records.trainings import TrainingLedger, TrainingRecord
from mlops_assets.sensors.retraining.gather import Runs, evidence_of
from mlops_assets.sensors.retraining.schedules import retraining_schedules
from support.ledger_rows import promote, spoil
from support.retraining_ticks import NIGHTLY


def test_the_first_training_waits_for_as_many_batches_as_are_declared(ticks):
    ticks.batch(1)
    ticks.batch(2)
    assert ticks.tick().run_requests == []
    ticks.batch(3)
    (request,) = ticks.tick().run_requests
    model = declared("bike")
    version = split(ModelRecords(model, ticks.storage), None).version
    assert request.run_key == f"bike/{version}/{model.training_version}/1"
    assert request.asset_selection == [
        dg.AssetKey(["bike", kind]) for kind in ("training_set", "challenger", "evaluation", "champion", "model_card")
    ]
    assert request.tags[MODEL] == "bike" and request.tags[KIND] == "training"
    assert (request.tags[DATA_VERSION], request.tags[DECLARATION_VERSION]) == (version, model.training_version)
    assert request.tags["mlops_assets/trigger"] == "first training"


def test_each_decision_is_recorded_once_with_its_evidence(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train()
    ticks.batch(4, drift=True, decay=False)
    ticks.tick()
    ticks.tick()
    (held,) = ticks.decisions()
    assert (held["decision"], held["reason"]) == ("hold", "nothing asks for a training")
    ticks.batch(5, drift=True, decay=True)
    assert len(ticks.tick().run_requests) == 1
    ticks.tick()
    fired, before = ticks.decisions()
    assert before == held
    assert (fired["decision"], fired["asked_by"], fired["champion_version"]) == ("fire", "drift", 1)
    assert fired["reason"] == "drift: 2 of the newest 2 batches (b4, b5)"
    evidence = {row.data["condition"]: row.data for row in ticks.newest()["evidence"].records}
    assert (evidence["drift"]["says"], evidence["drift"]["needed"]) == ("train", "2 of the newest 3 batches")
    assert evidence["decay"]["found"] == "1 of the newest 2 batches (b5)"
    assert evidence["volume"]["found"] == "200 labelled rows in 2 batches unknown to champion and last training"
    table = [row.data["decision"] for row in ticks.newest()["decisions"].records]
    assert table == ["fire", "hold"]


@pytest.mark.promise(8)
@pytest.mark.fault(55)
def test_a_tick_whose_cursor_was_lost_records_nothing_twice(ticks):
    ticks.batch(1)
    ticks.tick()
    ticks.cursor = None  # the daemon died after it had recorded the decision
    assert list(ticks.tick().asset_events) == []
    assert len(ticks.decisions()) == 1


def test_reports_about_an_older_champion_and_batches_that_a_training_knew_do_not_count(ticks):
    for number in (1, 2, 3, 4):
        ticks.batch(number, drift=True, decay=True)
    ticks.train(version=2)
    ticks.batch(5, drift=True, decay=True)
    ticks.batch(6, drift=True, decay=True)
    assert ticks.tick().run_requests == []  # all reports are about version 1


@pytest.mark.promise(2)
@pytest.mark.fault(52)
def test_what_a_training_has_answered_to_does_not_ask_for_another(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train(days_ago=2)
    for number in (4, 5):
        ticks.batch(number, drift=False, decay=True)
    assert len(ticks.tick().run_requests) == 1
    ticks.train(verdict="inconclusive", version=2)
    ticks.batch(6, drift=False, decay=True)
    assert ticks.tick().run_requests == []
    ticks.batch(7, drift=False, decay=True)
    (request,) = ticks.tick().run_requests
    assert request.tags["mlops_assets/trigger"] == "decay"


@pytest.mark.parametrize("what", ["fitted on the rows of the champion", "refused before it was fitted"])
def test_a_training_that_could_not_learn_from_what_asked_for_it_has_not_answered_it(ticks, what):
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train(days_ago=2)
    for number in (4, 5):
        ticks.batch(number, drift=False, decay=True)
    batches = split(ModelRecords(declared("bike"), ticks.storage), None)
    kept = (batches.train[:2], (*batches.train[2:], *batches.holdout))
    starved = Manifest(*kept) if what.startswith("fitted") else batches
    ticks.storage.write_document("bike", "training_set", starved.version, starved.to_dict())
    status, version = ("judged", 2) if what.startswith("fitted") else ("refused", None)
    at = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    known = {"data_version": starved.version, "declaration_version": declared("bike").training_version}
    record = TrainingRecord(**known, status=status, run_id="run", at=at, version=version, verdict="keep", reason="no")
    TrainingLedger(ticks.storage, "bike").put(record)
    ticks.batch(6, drift=False, decay=False)
    (request,) = ticks.tick().run_requests
    assert request.tags["mlops_assets/trigger"] == "decay"
    assert ticks.decisions()[0]["reason"] == "decay: 2 of the newest 3 batches (b4, b5)"


def test_the_rows_of_the_champion_are_nothing_new_whatever_is_held_out(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train()
    model, idle = declared("bike"), Runs({}, {})
    again = BatchRecord("b3", "accepted", "run", version="v3", rows=100, labelled=100, mark="m")
    BatchLedger(ticks.storage, "bike").put_features(again, "other features", model.features_version)
    evidence = evidence_of(ModelRecords(model, ticks.storage), idle)
    assert (evidence.nothing_new, evidence.outcome) == (True, "")
    changed = model.model_copy(update={"params": {"alpha": 3.0}})
    assert not evidence_of(ModelRecords(changed, ticks.storage), idle).nothing_new
    ticks.batch(4)
    assert not evidence_of(ModelRecords(model, ticks.storage), idle).nothing_new


def test_a_refit_has_learnt_its_holdout_and_answers_what_made_the_version_that_was_judged(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train(days_ago=2)
    model, idle = declared("bike"), Runs({}, {})
    known = PromotionLedger(ticks.storage, "bike").champion().as_version("bike")
    judged = read_manifest(ModelRecords(model, ticks.storage), known.data_version)
    everything = Manifest((*judged.train, *judged.holdout), ())
    ticks.storage.write_document("bike", "training_set", everything.version, everything.to_dict())
    tags = {**known.tags, "data_version": everything.version, **known.tags_of_refit()}
    refit = replace(known, version=2, digest="another", tags=tags)
    promote(ticks.storage, refit, by="mlops_assets", reason="better")

    evidence = evidence_of(ModelRecords(model, ticks.storage), idle)
    assert (evidence.new_batches, evidence.trained_rows) == (0, 300)
    assert evidence.cannot_train.startswith("ModelPipeline 'bike': no labelled batch is later than what the champion")
    ticks.batch(4)
    windowed = model.model_copy(update={"window": 2})
    for each in (model, windowed):
        evidence = evidence_of(ModelRecords(each, ticks.storage), idle)
        of_this = refit.declaration_version == each.training_version
        assert (evidence.new_batches, evidence.nothing_new) == (1, of_this)
    tags["declaration_version"] = windowed.training_version  # a window that only leaves out the oldest rows
    promote(ticks.storage, replace(refit, tags=tags), by="mlops_assets", reason="")
    assert evidence_of(ModelRecords(windowed, ticks.storage), idle).nothing_new
    ticks.batch(5)
    evidence = evidence_of(ModelRecords(windowed, ticks.storage), idle)
    assert (evidence.new_batches, evidence.nothing_new, evidence.trainable_rows) == (2, False, 200)


def test_rows_that_doubled_ask_for_a_training_and_again_only_when_they_have_doubled_since(ticks):
    ticks.model("bike", retraining={"first_after": 3}).build_defs()
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train(days_ago=2)  # fitted on b1 and b2
    ticks.batch(4, drift=False, decay=False)
    assert ticks.tick().run_requests == []
    ticks.batch(5, drift=False, decay=False)
    (request,) = ticks.tick().run_requests
    assert request.tags["mlops_assets/trigger"] == "growth"
    reason = "growth: 400 labelled rows to train on, 200 at the champion's training or the last one"
    assert ticks.decisions()[0]["reason"] == reason
    ticks.train(verdict="inconclusive", version=2)
    for number in (6, 7, 8):
        ticks.batch(number, drift=False, decay=False)
    assert ticks.tick().run_requests == []
    ticks.batch(9, drift=False, decay=False)
    (request,) = ticks.tick().run_requests
    assert request.tags["mlops_assets/trigger"] == "growth"


@pytest.mark.promise(2)
@pytest.mark.fault(55)
def test_data_that_was_trained_on_is_not_trained_on_again(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train(status="refused", verdict="keep")
    assert ticks.tick().run_requests == []
    assert "trained already" in ticks.decisions()[0]["reason"]


def test_too_few_rows_are_waited_for_without_a_run(ticks):
    for number in (1, 2, 3):
        ticks.batch(number, labelled=12)
    assert ticks.tick().run_requests == []
    (held,) = ticks.decisions()
    assert held["held_back_by"] == "no training set"
    assert "24 labelled rows to train on (at least 30), 12 to judge on (at least 20)" in held["reason"]
    ticks.batch(4)
    assert len(ticks.tick().run_requests) == 1


@pytest.mark.promise(8)
def test_a_broken_record_of_one_model_holds_up_no_other(ticks):
    for number in (1, 2, 3):
        ticks.batch(number)
        ticks.batch(number, model="other")
    spoil(ticks.storage, "bike", "batches", "b2")
    assert [request.tags[MODEL] for request in ticks.tick().run_requests] == ["other"]


def test_models_of_one_cron_share_a_schedule_and_each_tick_is_a_decision_on_record(ticks):
    names = [schedule.name for schedule in retraining_schedules() if schedule.cron_schedule == NIGHTLY]
    assert names == ["retraining_0_3_x_x_x_UTC"]
    for number in (1, 2, 3):
        ticks.batch(number)
    ticks.train()
    ticks.batch(4, drift=False, decay=False)
    schedule = ticks.defs.resolve_schedule_def(names[0])
    at = datetime(2026, 3, 2, 3, tzinfo=UTC)
    for _ in range(2):  # the daemon died and evaluates the same tick once more
        context = dg.build_schedule_context(
            instance=ticks.instance,
            scheduled_execution_time=at,
            repository_def=ticks.defs.get_repository_def(),
            resources={"mlops_storage": ticks.storage},
        )
        (request,) = schedule.evaluate_tick(context).run_requests
    assert request.tags[MODEL] == "bike" and request.tags["mlops_assets/trigger"] == "schedule"
    (fired,) = ticks.decisions()
    assert fired["reason"] == "schedule: due 2026-03-02 03:00"
