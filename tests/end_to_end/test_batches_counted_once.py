"""The same rows are one batch, whatever their files are called and whenever they come."""

import pandas as pd
import pytest

from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.records.batches import BatchLedger, BatchRecord
from mlops_assets.records.reports import BatchReports
from mlops_assets.resources.storage import Storage
from support.deployment import checks, plain, why
from support.ledger_rows import value_of
from support.synthetic import rows


@pytest.fixture
def model(deployment, name):
    return deployment.model(name)


def steps(result):
    """The steps of a run that did something."""
    return {event.step_key.partition("__")[2] for event in result.all_events if event.is_step_success}


def materialized(result):
    return {event.asset_key.path[-1] for event in result.all_events if event.is_step_materialization}


@pytest.mark.promise(2, 4)
@pytest.mark.fault(24)
def test_the_same_rows_under_another_name_are_recorded_as_a_duplicate_and_not_used_twice(model):
    model.take_in(model.land("a", rows(1)), mark="m1")
    result = model.take_in(model.land("b", rows(1)), mark="m2")
    assert result.success
    assert steps(result) == {"dataset"}
    assert materialized(result) == set()
    record = model.record("b")
    assert (record.status, record.mark, record.rows) == ("duplicate", "m2", 60)
    assert record.reasons == ("the same rows as batch 'a', taken in before: counted once",)
    (found,) = model.instance.fetch_observations(asset_key(model.name, "dataset"), limit=5).records
    observed = found.asset_observation
    assert (observed.partition, plain(observed.metadata)["duplicate_of"]) == ("b", "a")
    assert all(check.passed for check in checks(result).values())
    refused = model.materialize("features", batch="b")
    assert why(refused).endswith(f"{model.name}: batch 'b' is a duplicate: {record.reasons[0]}")


def test_the_first_that_was_taken_in_stays_whatever_its_name(model):
    model.take_in(model.land("b", rows(1)))
    model.take_in(model.land("a", rows(1)))
    assert (model.record("b").status, model.record("a").status) == ("accepted", "duplicate")


def test_a_duplicate_whose_other_holds_other_rows_by_now_is_accepted(model):
    model.take_in(model.land("a", rows(1)))
    model.take_in(model.land("b", rows(1)))
    model.take_in(model.land("a", rows(2)))
    assert model.take_in("b").success
    assert (model.record("a").status, model.record("b").status) == ("accepted", "accepted")


def meanwhile(monkeypatch, model, writer, batch):
    """While a run stores the rows of `writer`, another run accepts the same rows as `batch`."""
    write = Storage.write_frame

    def interleaved(self, owner, kind, key, version, frame):
        path = write(self, owner, kind, key, version, frame)
        if (owner, kind, key) == (model.name, "dataset", writer):
            write(self, owner, kind, batch, version, frame)
            BatchLedger(self, owner).put(
                BatchRecord(batch, "accepted", "other", version=version, rows=len(frame), labelled=len(frame))
            )
        return path

    monkeypatch.setattr(Storage, "write_frame", interleaved)


@pytest.mark.promise(4)
@pytest.mark.fault(24)
def test_of_two_runs_with_the_same_rows_at_once_one_gives_way(model, monkeypatch):
    model.land("day-2", rows(1))
    model.land("day-10", rows(1))
    with monkeypatch.context() as patch:
        meanwhile(patch, model, writer="day-10", batch="day-2")
        assert model.take_in("day-10").success
    assert (model.record("day-2").status, model.record("day-10").status) == ("accepted", "duplicate")


def test_where_both_were_accepted_the_next_run_of_the_later_one_gives_way(model, monkeypatch):
    model.land("day-2", rows(1))
    model.land("day-10", rows(1))
    with monkeypatch.context() as patch:
        meanwhile(patch, model, writer="day-2", batch="day-10")
        model.take_in("day-2")
    assert (model.record("day-2").status, model.record("day-10").status) == ("accepted", "accepted")
    model.take_in("day-2")
    assert model.record("day-2").status == "accepted"
    model.take_in("day-10")
    assert (model.record("day-2").status, model.record("day-10").status) == ("accepted", "duplicate")


def test_a_file_that_was_touched_and_holds_the_same_rows_gets_a_new_mark_and_nothing_else(model):
    model.take_in(model.land("a", rows(1)), mark="m1")
    before = model.record("a")
    result = model.take_in("a", mark="m2")
    assert result.success
    assert (steps(result), materialized(result)) == ({"dataset"}, set())
    after = model.record("a")
    assert (after.mark, after.identity, after.run_id) == ("m2", before.identity, before.run_id)


def test_by_hand_a_batch_always_runs_in_full(model):
    model.take_in(model.land("a", rows(1)), mark="m1")
    job = model.defs.resolve_job_def(f"{model.name}_batch")
    result = job.execute_in_process(instance=model.instance, partition_key="a", raise_on_error=False)
    assert materialized(result) == {"dataset", "features"}
    assert model.record("a").mark == "m1"


def test_a_batch_that_was_left_incomplete_is_finished_by_a_run_on_the_same_rows(model):
    model.materialize("dataset", batch=model.land("a", rows(1)))
    result = model.take_in("a", mark="m1")
    assert materialized(result) == {"dataset", "features"}
    assert model.record("a").features is not None


def test_a_batch_before_the_first_champion_leaves_reports_that_say_so(model):
    model.take_in(model.land("a", rows(1)))
    reports = BatchReports(model.storage, model.name)
    for kind in ("predictions", "drift"):
        report = reports.get(kind, "a")
        assert (report.model_version, report.verdict, report.identity) == (
            None,
            "no champion",
            model.record("a").identity,
        )


@pytest.mark.slow
def test_scores_and_drift_are_on_record_with_the_version_that_they_are_of(model):
    model.prepare(a=rows(1), b=rows(2))
    model.challenge()
    shifted = rows(3, count=200).assign(x=lambda frame: frame["x"] + 5)
    model.take_in(model.land("c", shifted))
    reports = BatchReports(model.storage, model.name)
    scored, drift = reports.get("predictions", "c"), reports.get("drift", "c")
    assert (scored.model_version, scored.verdict, scored.figures) == (1, "scored", {"rows": 200.0})
    assert (drift.model_version, drift.verdict, drift.identity) == (1, "drift", model.record("c").identity)
    assert drift.figures["drifted_features"] == 1.0
    assert 0 < drift.figures["share_drifted"] < 1
    event = model.instance.get_latest_materialization_event(asset_key(model.name, "drift"))
    assert drift.run_id == event.run_id


def seen_labels(batch, history):
    """How many labels of earlier rows are known, for each row."""
    return pd.DataFrame({"known": float(history["y"].notna().sum())}, index=batch.index)


@pytest.mark.promise(4)
def test_history_hides_labels_that_became_known_only_after_the_batch_began(deployment, name):
    model = deployment.model(name, features=seen_labels, lookback="3D", known_at="told")
    first = rows(1).assign(told=lambda frame: frame["day"] + pd.Timedelta("2h"))
    first.loc[:9, "told"] = pd.Timestamp("2024-01-09")
    first.loc[10:14, "told"] = None
    second = rows(2).assign(told=pd.Timestamp("2024-01-03"))
    model.prepare(a=first, b=second)
    version = str(model.record("b").features)
    known = model.storage.read_frame(model.name, "features", "b", version)["known"]
    assert known.unique().tolist() == [45.0]


def test_with_outcomes_a_label_in_the_source_is_left_out(deployment, name, tmp_path):
    from mlops_assets import Folder

    model = deployment.model(name, outcomes=Folder(str(tmp_path / "*.csv")))
    result = model.materialize("dataset", "features", batch=model.land("a", rows(1)))
    assert result.success
    record = model.record("a")
    stored = model.storage.read_frame(model.name, "dataset", "a", str(record.version))
    assert "y" not in stored.columns
    assert record.labelled == 0
    assert "y" not in value_of(model.storage, model.name, "column_kinds", "dataset")["columns"]
