"""`mlops-assets history`: who was champion when, by whom or by what, and what is not known."""

import json
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest
from mlflow import MlflowClient

from mlops_assets.sensors.registry_watch import registry_watch_sensor
from support.lived import ADA, Lived

KEYS = {
    *("number", "version", "since", "until", "how", "by", "reason", "run_id", "launched_by", "version_before"),
    *("metric", "value", "refit_of"),
}


def told(lived: Lived) -> dict:
    """What `history --json` says."""
    said = lived.run("history", "rentals", "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_each_reign_has_its_beginning_its_end_who_made_it_and_its_metric(lived: Lived):
    found = told(lived)
    assert (found["champion"], found["alias"], found["registry"], found["unknown"]) == (1, 1, "sound", [])
    assert all(set(each) == KEYS for each in found["champions"])
    back, second, first = found["champions"]
    assert [each["version"] for each in found["champions"]] == [1, 2, 1]
    assert [each["how"] for each in found["champions"]] == ["rollback", "evidence", "first"]
    assert [each["by"] for each in found["champions"]] == ["ada", "mlops_assets", "mlops_assets"]
    assert back["reason"] == f"rollback: {ADA['reason']}" and back["until"] is None
    assert (first["until"], second["until"]) == (second["since"], back["since"])
    assert (second["version_before"], back["version_before"], first["version_before"]) == (1, 2, None)
    assert second["launched_by"] == "job rentals_training, launched by hand"
    for reign in found["champions"]:
        tags = lived.model.registry.version("rentals", reign["version"]).tags
        assert reign["metric"] == "rmse" and reign["value"] > 0
        if reign is not first:
            apart = datetime.fromisoformat(reign["since"]) - datetime.fromisoformat(tags["decided_at"])
            assert abs(apart.total_seconds()) < 60 and reign["reason"] == tags["reason"]
    shown = lived.model.shown("challenger")
    assert (second["version"], second["value"]) == (shown["version"], shown["holdout_rmse"])


def test_a_run_of_a_sensor_is_told_with_what_it_answered(copied: Lived):
    tags = {"dagster/sensor_name": "retraining", "mlops_assets/trigger": "decay"}
    assert (
        copied.model.defs.resolve_job_def("rentals_training")
        .execute_in_process(
            instance=copied.model.instance,
            tags=tags,
            asset_selection=[dg.AssetKey(["rentals", "champion"])],
            run_config={"ops": {"rentals__champion": {"config": {"action": "promote", "version": 2, **ADA}}}},
        )
        .success
    )
    newest = told(copied)["champions"][0]
    assert (newest["version"], newest["how"], newest["launched_by"]) == (2, "by hand", "sensor retraining (decay)")


def test_an_alias_moved_by_hand_is_no_reign_and_who_moved_it_is_not_known(copied: Lived):
    MlflowClient(tracking_uri=f"sqlite:///{copied.home / 'mlflow.db'}").set_registered_model_alias(
        "rentals", "champion", "2"
    )
    found = told(copied)
    assert (found["champion"], found["alias"], found["registry"]) == (1, 2, "moved by hand")
    assert [each["version"] for each in found["champions"]] == [1, 2, 1] and found["found"] == []
    [unknown] = found["unknown"]
    assert unknown.startswith("who moved the alias of rentals to version 2, and when exactly: MLflow keeps no history")

    model = copied.model
    context = dg.build_sensor_context(
        instance=model.instance,
        repository_def=model.defs.get_repository_def(),
        resources={"mlops_storage": model.storage, "mlflow_registry": model.registry},
    )
    for event in registry_watch_sensor().evaluate_tick(context).asset_events:
        model.instance.report_runless_asset_event(event)
    [seen] = told(copied)["found"]
    assert (seen["state"], seen["alias"]) == ("moved by hand", "version 2")
    text = " ".join(copied.run("history", "rentals").out.split())
    assert "names version 2 (moved by hand)" in text and "not known: who moved the alias" in text


def test_what_dagster_has_forgotten_is_on_record(copied: Lived, monkeypatch: pytest.MonkeyPatch, tmp_path):
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "empty"))
    found = told(copied)
    back, second, first = found["champions"]
    assert (back["version"], back["how"], back["by"]) == (1, "rollback", "ada")
    assert [each["number"] for each in found["champions"]] == [3, 2, 1]
    assert second["until"] == back["since"] and back["value"] is None
    assert back["launched_by"] == "unknown: Dagster has no such run any more"
    assert (first["version_before"], found["unknown"]) == (None, [])


def test_a_registry_that_is_away_leaves_what_dagster_knows(lived: Lived, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CLI_MLFLOW", "http://127.0.0.1:9")
    found = told(lived)
    assert (found["champion"], found["alias"], found["registry"]) == (1, None, "unknown")
    assert [each["version"] for each in found["champions"]] == [1, 2, 1]
    assert found["unknown"][0].startswith("what the registry says: MLflow at http://127.0.0.1:9 did not")


def test_a_model_without_a_champion_has_no_history_and_no_database_is_made(
    lived: Lived, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("CLI_HOME", str(tmp_path))
    found = lived.run("history", "rentals")
    assert found.code == 0 and not (tmp_path / "mlflow.db").exists()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    assert "rentals has had no champion yet." in lived.run("history", "rentals").out
    assert told(lived)["champions"] == []
