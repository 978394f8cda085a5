"""The same data, declaration and seed give the same model, once; anything else gives another version."""

import shutil
import subprocess
import sys

import pytest

from mlops_assets import Search
from mlops_assets.records.trainings import TrainingLedger
from support import TESTS
from support.deployment import Deployment, failed, why
from support.one_training import DECLARED
from support.reproduced import again as reproduced
from support.synthetic import rows

ONE_TRAINING = ("-m", "support.one_training")


@pytest.mark.promise(2)
@pytest.mark.slow
def test_two_processes_with_stores_of_their_own_give_equal_bytes(tmp_path, mlflow_schema):
    made = []
    for place in ("one", "other"):
        (tmp_path / place).mkdir()
        shutil.copy(mlflow_schema, tmp_path / place / "mlflow.db")
        model = Deployment(tmp_path / place).model("forest", **DECLARED["forest"])
        model.prepare(b1=rows(1), b2=rows(2))
        made.append(model)
    commands = [[sys.executable, *ONE_TRAINING, str(tmp_path / place), "forest"] for place in ("one", "other")]
    processes = [subprocess.Popen(command, cwd=TESTS, stderr=subprocess.DEVNULL) for command in commands]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    versions = []
    for model in made:
        assert model.materialize("predictions", batch="b2").success
        versions.append(model.registry.champion("forest"))
    one, other = (model.predictions("b2") for model in made)
    assert one["score"].to_numpy().tobytes() == other["score"].to_numpy().tobytes()
    assert one["score"].nunique() > 30
    for tag in ("data_version", "declaration_version", "holdout_predictions", "seed", "trained_until"):
        assert versions[0].tags[tag] == versions[1].tags[tag]
    assert versions[0].run_id != versions[1].run_id


@pytest.mark.promise(2)
def test_second_training_finds_the_version_and_another_declaration_makes_one(deployment, name):
    model = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge().success
    first = model.registry.champion(name)
    assert model.challenge().success
    assert model.shown("challenger")["reused"] is True
    assert model.shown("champion")["reason"] == "version 1 is the champion already"
    assert [version.version for version in model.registry.versions(name)] == [1]

    assert model.challenge(alpha=5.0).success
    second = model.registry.versions(name)[0]
    assert second.version == 2 and second.tags["declaration_version"] != first.tags["declaration_version"]
    assert second.tags["data_version"] == first.tags["data_version"]
    assert model.shown("challenger")["params"] == [{"parameter": "alpha", "value": 5.0}]
    assert deployment.model(name, seed=1).challenge().success
    assert model.registry.versions(name)[0].tags["seed"] == "1"
    assert len(model.registry.versions(name)) == 3


def test_version_carries_what_made_it(deployment, name):
    from mlflow import MlflowClient

    model = deployment.model(name, search=Search({"alpha": [0.1, 1.0, 10.0]}, method="grid", folds=2))
    model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
    result = model.train()
    assert result.success, failed(result)
    version = model.registry.champion(name)
    assert version.tags["dagster_run_id"] == result.run_id
    assert version.tags["data_version"] == model.shown("training_set")["version"]
    assert version.tags["declaration_version"] == model.pipeline.training_version
    assert version.tags["trained_until"] == str(rows(2)["day"].max())
    assert "scikit-learn==" in version.tags["packages"]

    client = MlflowClient(tracking_uri=model.registry.tracking_uri)
    run = client.get_run(version.run_id)
    assert run.data.params["alpha"] in {"0.1", "1.0", "10.0"}
    assert run.data.metrics["rmse"] == pytest.approx(model.shown("evaluation")["rmse"], rel=1e-5)
    trials = client.search_runs([run.info.experiment_id], f"tags.mlflow.parentRunId = '{version.run_id}'")
    assert sorted(trial.data.params["alpha"] for trial in trials) == ["0.1", "1.0", "10.0"]
    assert {item.path for item in client.list_artifacts(version.run_id)} >= {
        "model",
        "model_card.md",
        "residuals.png",
        "importance.png",
        "predicted_and_actual.png",
    }
    assert len(model.shown("challenger")["trials"]) == 3


@pytest.mark.promise(5)
def test_holdout_is_later_than_anything_either_model_was_trained_on(deployment, name):
    model = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
    assert model.challenge().success
    model.prepare(b4=rows(4))
    wider = deployment.model(name, holdout=3)  # b2 to b4, had the champion not seen b2
    assert wider.challenge().success
    used = {row["batch"]: row["role"] for row in model.shown("training_set")["batches"]}
    assert used == {"b1": "train", "b2": "train", "b3": "holdout", "b4": "holdout"}


def test_too_little_to_train_on_is_said_before_anything_is_fitted(deployment, name):
    model = deployment.model(name)
    model.prepare(b1=rows(1))
    said = why(model.challenge())
    assert "1 labelled batches (got 'b1'; 0 without labels); expected at least 2" in said
    model.prepare(b1=rows(1, 20), b2=rows(2, 10))
    assert failed(model.challenge()) == {
        "enough_rows": "20 labelled rows to train on (at least 30), 10 to judge on (at least 20)"
    }
    assert model.registry.versions(name) == []


@pytest.mark.promise(4)
def test_rows_without_labels_are_scored_and_wait(deployment, name):
    model = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge().success
    result = model.take_in(model.land("b3", rows(3).assign(y=None)))
    assert result.success
    assert len(model.predictions("b3")) == 60
    assert failed(result)["no_decay"] == "insufficient labels: none of 60 rows has one yet"
    assert model.challenge().success
    out = next(row for row in model.shown("training_set")["batches"] if row["batch"] == "b3")
    assert (out["role"], out["why"]) == ("out", "no labelled rows")


@pytest.mark.slow
def test_what_changed_in_the_newest_small_batches_is_learnt_with_default_settings(deployment, name):
    months = {}
    for number, count in enumerate([4000, 4000, 1500, 300, 300, 300], start=1):
        frame = rows(number * 30, count).drop(columns=["z", "colour", "bought"])
        months[f"m{number}"] = frame.assign(y=(2 if number < 4 else -2) * frame["x"] + 0.1 * frame["y"])
    model = deployment.model(name, holdout=None)
    model.prepare(m1=months["m1"], m2=months["m2"])
    assert model.challenge().success
    model.prepare(**{key: months[key] for key in ("m3", "m4", "m5")})
    model.challenge()  # nine of ten rows are of the past: honestly refused, but on rows of what has changed
    roles = {row["batch"]: row["role"] for row in model.shown("training_set")["batches"]}
    assert roles == {"m1": "train", "m2": "train", "m3": "train", "m4": "train", "m5": "holdout"}
    assert TrainingLedger(deployment.storage, name).all()[0].reason.startswith("beats_baseline: rmse")
    recent = deployment.model(name, holdout=None, window=1)
    assert recent.challenge().success
    assert (recent.shown("champion")["verdict"], recent.champion()) == ("promote", 3)
    recent.prepare(m6=months["m6"])
    recent.challenge()
    roles = {row["batch"]: row["role"] for row in recent.shown("training_set")["batches"]}
    assert (roles["m5"], roles["m6"]) == ("train", "holdout")


@pytest.mark.slow
def test_a_declared_threshold_and_calibration_go_into_what_is_judged_scored_and_refitted(deployment, name):
    classes = {"target": "bought", "drop": ["y"], "estimator": "sklearn.linear_model.LogisticRegression"}
    by = {"threshold": 0.2, "calibrate": "sigmoid", "metrics": ["f1", "log_loss"]}
    model = deployment.model(name, **classes, **by)
    model.prepare(b1=rows(1), b2=rows(2))
    result = model.train()
    assert result.success, why(result)
    assert model.take_in(model.land("b3", rows(3))).success
    scored = model.predictions("b3")
    assert 0.2 < scored["score"].median() < 0.8
    assert (scored["prediction"] == (scored["score"] >= 0.2)).all()
    assert reproduced(model).verdict == "identical"
