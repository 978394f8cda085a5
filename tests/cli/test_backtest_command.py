"""`mlops-assets backtest`: what the asset of the same name finds, recorded as a run of its job."""

import importlib
import json
import shutil
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from mlops_assets import Retraining
from mlops_assets.assets.backtest.policy_backtest import BacktestConfig, recommend
from mlops_assets.records.model_records import ModelRecords
from support.deployment import REPOSITORY
from support.lived import HERE, Lived, Said, run

sys.path.append(str(HERE.parents[1] / "benchmarks"))

import policies

ASKED = ("--policy", "every batch", "--policy", "declared", "--newest", "6")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stored batches of `turning`, and an instance."""
    monkeypatch.setenv("CLI_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    shutil.copy(REPOSITORY / "dagster.yaml", tmp_path)
    sys.modules.pop("cli_backtest_location", None)
    policies.stored(importlib.import_module("cli_backtest_location").turning, tmp_path / "storage")
    return tmp_path


def backtest(*words: str) -> Said:
    return run("backtest", "turning", *words, "-f", str(HERE / "cli_backtest_location.py"), "-d", str(HERE))


def test_it_finds_what_the_plain_function_finds_and_records_the_run_of_the_job(home: Path):
    said = backtest(*ASKED, "--json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    location = sys.modules["cli_backtest_location"]
    found = recommend(
        ModelRecords(location.turning, location.Storage(root=str(home / "storage"))),
        BacktestConfig(policies=["every batch", "declared"], newest=6),
    )
    assert told["model"] == "turning" and told["winner"] == found.winner.name == "every batch"
    assert [row["policy"] for row in told["policies"]] == [row["policy"] for row in found.rows()]
    assert told["policies"][0]["retrainings"] == found.winner.retrainings > 0
    assert told["winner_mean"] == pytest.approx(found.winner.mean, rel=1e-5)
    assert Retraining(**yaml.safe_load(told["yaml"])["retraining"]) == found.rule
    assert told["python"].startswith("retraining=Retraining(")
    assert not any("base64" in str(value) for value in told.values())

    with dg.DagsterInstance.get() as instance:
        recorded = instance.get_run_by_id(told["run_id"])
        assert (recorded.job_name, recorded.status) == ("turning_backtest", dg.DagsterRunStatus.SUCCESS)
        assert recorded.tags[".dagster/repository"] == "__repository__@cli_backtest_location.py"
        assert recorded.tags["mlops_assets/kind"] == "backtest"
        config = recorded.run_config["ops"]["turning__policy_backtest"]["config"]
        assert config == {"price": 0.0, "search": "off", "policies": ["every batch", "declared"], "newest": 6}
        said_by_run = [
            each.event_log_entry.user_message for each in instance.get_records_for_run(told["run_id"]).records
        ]
        assert any(message.startswith("fitted ") for message in said_by_run)
        event = instance.get_latest_materialization_event(dg.AssetKey(["turning", "policy_backtest"]))
        assert event.run_id == told["run_id"]


def test_a_person_reads_the_table_and_what_to_declare(home: Path):
    said = backtest(*ASKED)
    text = " ".join(said.out.split())
    assert said.code == 0 and "Best is every batch: mean rmse" in text
    assert "every batch (chosen)" in text and "oracle" in text and "retraining:" in said.out


def test_what_cannot_be_replayed_is_told_in_a_line_and_recorded_as_failed(home: Path, lived: Lived):
    said = lived.run("backtest", "rentals")
    assert said.code == 2 and said.out == ""
    assert "the back-test of rentals failed (run " in said.err and "): a back-test needs at least " in said.err


def test_an_unknown_policy_is_told_with_the_known_ones(home: Path):
    said = backtest("--policy", "weekly", "--json")
    assert (said.code, said.out) == (2, "")
    assert "policies 'weekly' are not known; expected some of 'never', 'declared'" in said.err
