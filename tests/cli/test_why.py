"""`mlops-assets why`: the decisions on a model, as runs and sensors left them on record."""

import json
from datetime import datetime

import dagster as dg
import pytest

from mlops_assets.records.reports import BatchReports
from mlops_assets.records.trainings import TrainingLedger, TrainingRecord
from mlops_assets.sensors.retraining.sensor import retraining_sensor
from support.ledger_rows import put_value, spoil
from support.lived import ADA, Lived

KEYS = {"at", "kind", "decision", "about", "reason", "by", "run_id", "numbers", "evidence"}


def told(lived: Lived, *words: str) -> dict:
    """What `why --json` says."""
    said = lived.run("why", "rentals", "--json", *words)
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_verdicts_are_those_of_the_registry_and_the_ledger_with_their_numbers(lived: Lived):
    found = told(lived, "--last", "50")
    assert found["model"] == "rentals" and all(set(each) == KEYS for each in found["decisions"])
    moments = [datetime.fromisoformat(each["at"]) for each in found["decisions"]]
    assert moments == sorted(moments, reverse=True) and moments[0].utcoffset().total_seconds() == 0

    back, second, first = (each for each in found["decisions"] if each["kind"] == "verdict")
    assert (back["decision"], back["about"], back["by"]) == ("promote", "version 1", "ada")
    assert back["reason"] == f"rollback: {ADA['reason']}"
    tags = lived.model.registry.version("rentals", 2).tags
    assert (second["decision"], second["about"], second["by"]) == (tags["verdict"], "version 2", tags["decided_by"])
    assert second["reason"] == tags["reason"]
    judged = {each.version: each for each in TrainingLedger(lived.model.storage, "rentals").all()}
    assert (first["decision"], first["reason"]) == (judged[1].verdict, judged[1].reason)
    assert first["run_id"] == judged[1].run_id and second["run_id"] == judged[2].run_id

    event = lived.model.instance.fetch_materializations(dg.AssetKey(["rentals", "champion"]), limit=2).records[1]
    metadata = event.asset_materialization.metadata
    assert second["numbers"]["improvement"] == metadata["improvement"].value
    assert second["numbers"]["low"] <= second["numbers"]["improvement"] <= second["numbers"]["high"]
    assert second["evidence"]["comparison"][0]["metric"] == "rmse"
    assert len(second["evidence"]["gates"]) == 10 and all(gate["passed"] for gate in second["evidence"]["gates"])
    assert not first["numbers"]


def test_the_champion_is_that_of_the_registry(lived: Lived):
    champion = told(lived)["champion"]
    assert (champion["version"], champion["by"]) == (lived.model.champion(), "ada")


def test_alarms_and_rejected_batches_are_told_with_what_was_found(lived: Lived):
    decisions = told(lived, "--last", "50")["decisions"]
    [drift] = [each for each in decisions if each["kind"] == "drift"]
    report = BatchReports(lived.model.storage, "rentals").get("drift", "b3")
    assert (drift["decision"], drift["about"]) == ("drift alarm", "batch b3, version 2")
    assert drift["reason"] == report.reason and drift["numbers"] == dict(report.figures)
    [batch] = [each for each in decisions if each["kind"] == "batch"]
    assert (batch["decision"], batch["about"]) == ("rejected", "batch b4") and "x" in batch["reason"]
    assert batch["run_id"] == lived.model.record("b4").run_id


def test_the_last_decisions_are_as_many_as_asked_for(lived: Lived):
    everything = told(lived, "--last", "50")["decisions"]
    assert told(lived, "--last", "2")["decisions"] == everything[:2]


def test_a_retraining_decision_is_told_with_every_condition(copied: Lived):
    model = copied.model
    context = dg.build_sensor_context(
        instance=model.instance,
        repository_def=model.defs.get_repository_def(),
        resources={"mlops_storage": model.storage, "mlflow_registry": model.registry},
    )
    for event in retraining_sensor().evaluate_tick(context).asset_events:
        model.instance.report_runless_asset_event(event)
        recorded = event
    newest = told(copied)["decisions"][0]
    assert (newest["kind"], newest["run_id"]) == ("retraining", "")
    assert newest["decision"] == recorded.metadata["decision"].value
    assert newest["reason"] == recorded.metadata["reason"].value
    names = [row["condition"] for row in newest["evidence"]["conditions"]]
    assert {"drift", "decay", "volume", "age", "budget"} <= set(names)


def test_a_training_that_never_came_to_a_verdict_is_told(copied: Lived):
    at = "2099-01-01T00:00:00+00:00"
    ledger = TrainingLedger(copied.model.storage, "rentals")
    ledger.put(
        TrainingRecord(
            data_version="d1",
            declaration_version="v1",
            status="refused",
            run_id="run1",
            at=at,
            version=7,
            verdict="keep",
            reason="latency: 90 ms for a row",
        )
    )
    ledger.put(
        TrainingRecord(
            data_version="d2",
            declaration_version="v1",
            status="fitted",
            run_id="run2run2",
            at="2098-01-01T00:00:00+00:00",
            version=8,
        )
    )
    refused, fitted = told(copied, "--last", "2")["decisions"]
    assert (refused["decision"], refused["about"]) == ("refused", "version 7")
    assert refused["reason"] == "latency: 90 ms for a row" and refused["run_id"] == "run1"
    assert (fitted["decision"], fitted["about"]) == ("not judged yet", "version 8")


def test_an_excluded_batch_is_told_with_who_took_it_out(copied: Lived):
    copied.model.ledger.exclude("b1", "ada", "a sensor was broken")
    newest = told(copied)["decisions"][0]
    assert (newest["decision"], newest["about"]) == ("excluded", "batch b1")
    assert (newest["by"], newest["reason"]) == ("ada", "a sensor was broken")


def test_damaged_records_are_skipped_and_that_of_the_champion_ends_in_one_line(copied: Lived):
    storage = copied.model.storage
    spoil(storage, "rentals", "batches", "b1", '{"batch": "b1", "sta')
    put_value(storage, "rentals", "trainings", "d-v", {"status": "judged"})
    before = told(copied, "--last", "50")
    assert before["champion"]["version"] == 1 and before["decisions"]
    for content in ("{", "null", "[]"):
        spoil(storage, "rentals", "promotions", "000001", content)
        for command in ("why", "history"):
            said = copied.run(command, "rentals")
            assert said.code == 2 and "rentals/promotions/000001" in said.err and "Traceback" not in said.err
    findings = json.loads(copied.run("doctor", "--json").out)["findings"]
    named = {each["name"] for each in findings if each["severity"] == "fault"}
    keys = ("promotions/000001", "batches/b1", "trainings/d-v")
    assert {f"record rentals/{key}" for key in keys} <= named


def test_a_person_reads_who_decided_what_and_why(lived: Lived):
    said = lived.run("why", "rentals")
    assert said.code == 0 and said.err.strip() == "a user's code prints when it is loaded"
    text = " ".join(said.out.split())
    assert "rentals version 1 is champion since" in text and "rollback: complaints since Monday" in text
    for word in ("verdict", "drift alarm", "rejected", "gates: all 10 passed", "comparison of the verdict"):
        assert word in text


def test_text_of_a_batch_is_shown_as_it_is(copied: Lived):
    ledger = TrainingLedger(copied.model.storage, "rentals")
    reason = "column '[red]x[/red]' \x1b[31m is new"
    ledger.put(
        TrainingRecord(
            data_version="d",
            declaration_version="v",
            status="refused",
            run_id="run",
            at="2099-01-01T00:00:00+00:00",
            version=9,
            verdict="keep",
            reason=reason,
        )
    )
    out = copied.run("why", "rentals", "--last", "1").out
    assert "[red]x[/red]" in out and "\x1b" not in out


def test_the_registry_may_be_away(lived: Lived, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLI_MLFLOW", "http://127.0.0.1:9")
    assert told(lived)["champion"]["version"] == 1


def test_a_model_without_a_life_has_decided_nothing(lived: Lived, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLI_HOME", str(tmp_path))
    (tmp_path / "dagster").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    assert told(lived) == {"model": "rentals", "champion": None, "before_first_step": None, "decisions": []}
    assert "Nothing was decided yet" in lived.run("why", "rentals").out
    assert not (tmp_path / "mlflow.db").exists()
