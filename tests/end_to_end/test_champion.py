"""What moves the alias without a person, and that nothing but the gates and the comparison does."""

import dagster as dg
import numpy as np
import pytest
from mlflow import MlflowClient

from mlops_assets import Gates
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.records.trainings import TrainingLedger
from support.deployment import DeployedModel, Deployment, failed, why
from support.ledger_rows import put_value, value_of
from support.synthetic import rows

POOR, GOOD = {"alpha": 1e4}, {"alpha": 0.1}


@pytest.fixture
def model(deployment: Deployment, name: str) -> DeployedModel:
    model = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2))
    return model


@pytest.fixture
def client(deployment: Deployment) -> MlflowClient:
    return MlflowClient(tracking_uri=deployment.registry.tracking_uri)


def gates(model: DeployedModel) -> dict[str, bool]:
    return {row["gate"]: row["passed"] for row in model.shown("champion")["gates"]}


@pytest.mark.promise(1, 5)
@pytest.mark.fault(45, 47)
def test_first_model_needs_the_gates_only_then_better_wins_and_worse_does_not(model):
    assert model.train(**POOR).success
    assert model.shown("champion")["reason"] == "first model: all absolute gates passed"
    assert set(gates(model)) == {
        *("enough_rows", "more_than_one_class", "split_in_time", "no_key_overlap"),
        *("loads_back", "latency", "size", "beats_baseline", "no_leakage", "quality"),
    }
    assert all(gates(model).values()) and model.champion() == 1

    assert model.train(**GOOD).success
    shown = model.shown("champion")
    assert (model.champion(), shown["verdict"], shown["version_before"]) == (2, "promote", 1)
    assert shown["improvement"] > 1 and shown["reason"].startswith("rmse improves by 2.")
    assert "95% confidence each side, 60 rows" in shown["reason"]
    assert model.registry.version(model.name, 2).tags["compared_with"] == "1"

    assert model.train(alpha=1e5).success
    shown = model.shown("champion")
    assert (model.champion(), shown["verdict"], shown["judged_version"]) == (2, "keep", 3)
    assert shown["improvement"] < -1
    assert [row["verdict"].split()[0] for row in shown["history"]] == ["keep", "promote", "promote"]


@pytest.mark.slow
def test_the_reason_for_a_promotion_outlives_later_runs(model):
    assert model.train(**POOR).success
    assert model.train(**GOOD).success
    told = {tag: model.registry.champion(model.name).tags[tag] for tag in ("verdict", "reason", "compared_with")}
    assert told["verdict"] == "promote" and told["compared_with"] == "1"
    assert model.train(**GOOD).success
    assert model.materialize("champion", action="hold", by="ada", reason="audit").success
    assert model.registry.champion(model.name).tags.items() >= told.items()
    assert told["reason"] in model.shown("model_card")["card"]


@pytest.mark.promise(5)
@pytest.mark.fault(45)
def test_equal_model_is_not_promoted(deployment, name):
    forest = {"estimator": "sklearn.ensemble.RandomForestRegressor", "params": {"n_estimators": 10}}
    deployment.model(name, **forest).prepare(b1=rows(1), b2=rows(2))
    assert deployment.model(name, **forest, seed=1).challenge().success
    equal = deployment.model(name, **forest, seed=2)  # the same trees but for the draw
    assert equal.challenge().success
    shown = equal.shown("champion")
    assert (equal.champion(), shown["judged_version"], shown["verdict"]) == (1, 2, "inconclusive")
    assert "the rows do not show whether it exceeds the required gain of 0" in shown["reason"]


@pytest.mark.promise(1)
@pytest.mark.fault(47)
def test_a_model_that_is_not_good_enough_is_refused_in_a_run_that_goes_well(deployment, name):
    model = deployment.model(name, gates=Gates(maximum={"rmse": 1e-6}))
    model.prepare(b1=rows(1), b2=rows(2))
    result = model.train()
    assert result.success
    assert "rmse" in failed(result)["quality"] and "1e-06" in failed(result)["quality"]
    assert failed(result)["has_champion"].startswith("no batch is scored: gates not passed: quality: rmse")
    shown = model.shown("champion")
    assert (shown["verdict"], shown["judged_version"]) == ("keep", 1) and "version" not in shown
    assert model.champion() is None and len(model.registry.versions(name)) == 1

    (record,) = TrainingLedger(deployment.storage, name).all()
    assert (record.status, record.version, record.run_id) == ("refused", 1, result.run_id)
    alone = model.materialize("champion")
    assert failed(alone)["has_champion"].startswith("no batch is scored: gates not passed: quality: rmse")
    (again,) = TrainingLedger(deployment.storage, name).all()
    assert (again.at, again.run_id) == (record.at, record.run_id)
    asked = model.materialize("champion", action="promote", by="ada", reason="I want it")
    assert f"{name}: version 1 may not be promoted: quality: rmse" in why(asked)
    assert model.champion() is None


@pytest.mark.promise(1)
@pytest.mark.fault(57, 58)
def test_forged_checks_and_tags_do_not_help(deployment, name, client):
    model = deployment.model(name, gates=Gates(maximum={"rmse": 1e-6}))
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.train().success
    for asset, check in (("evaluation", "quality"), ("challenger", "loads_back")):
        model.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key(name, asset), check, passed=True, metadata={})
        )
    for tag, value in {"verdict": "promote", "quality": "passed", "gates": "passed"}.items():
        client.set_model_version_tag(name, "1", tag, value)
    assert "gates not passed: quality" in failed(model.materialize("champion"))["has_champion"]
    assert model.champion() is None


@pytest.mark.promise(1)
def test_a_version_that_predicts_otherwise_than_recorded_fails_loads_back_and_tags_change_nothing(model, client):
    assert model.challenge(**POOR).success
    assert model.challenge(**GOOD).success and model.champion() == 2
    assert model.materialize("champion", action="rollback", version=1, by="ada", reason="complaints").success
    run_id = model.registry.version(model.name, 2).run_id
    recorded = value_of(model.storage, model.name, "registrations", run_id)
    otherwise = {**recorded, "tags": {**recorded["tags"], "holdout_predictions": "0" * 64}}
    put_value(model.storage, model.name, "registrations", run_id, otherwise)
    assert model.materialize("champion").success
    assert "gates not passed: loads_back: the loaded model predicts differently" in model.shown("champion")["reason"]
    assert model.champion() == 1

    put_value(model.storage, model.name, "registrations", run_id, recorded)
    for tag in ("holdout_predictions", "digest", "data_version"):
        client.set_model_version_tag(model.name, "2", tag, "0" * 64)
    assert model.materialize("champion").success
    assert (model.champion(), model.shown("champion")["verdict"]) == (2, "promote")


@pytest.mark.promise(1, 6)
@pytest.mark.fault(62)
@pytest.mark.parametrize("what", ["bytes", pytest.param("pickle", marks=pytest.mark.slow), "gone"])
def test_changed_artifact_is_refused_and_the_champion_stays(what, model, client):
    assert model.challenge(**POOR).success
    assert not model.materialize("champion", version=9).success
    assert model.challenge(**GOOD).success and model.champion() == 2
    assert model.materialize("champion", action="rollback", version=1, by="ada", reason="complaints").success
    version = model.registry.version(model.name, 2)
    folder = model.registry.artifact(version.run_id, "model")
    if what == "bytes":
        stored = folder / "model.skops"
        stored.write_bytes(stored.read_bytes() + b"\0")
        says = "version 2 has changed since it was registered: expected sha256"
    elif what == "pickle":
        from mlops_assets.resources.mlflow.model_files import digest_of

        marker = folder.parent / "executed"
        (folder / "model.skops").unlink()
        (folder / "model.pkl").write_bytes(f"cos\nsystem\n(S'touch {marker}'\ntR.".encode())
        described = (
            (folder / "MLmodel").read_text().replace("serialization_format: skops", "serialization_format: pickle")
        )
        (folder / "MLmodel").write_text(described)
        client.set_model_version_tag(model.name, "2", "digest", digest_of(folder))
        recorded = value_of(model.storage, model.name, "registrations", version.run_id)
        forged = {**recorded, "digest": digest_of(folder)}  # as by somebody who can write to all three stores
        put_value(model.storage, model.name, "registrations", version.run_id, forged)
        says = "version 2 is a pickle file, which runs code when loaded: expected skops"
    else:
        for file in folder.iterdir():
            file.unlink() if file.is_file() else None
        folder.rename(folder.with_name("elsewhere"))
        says = "version 2 is missing"
    for config in ({}, {"action": "promote", "version": 2, "by": "ada", "reason": "try"}):
        assert says in why(model.materialize("champion", **config))
    assert model.champion() == 1
    assert not (folder.parent / "executed").exists()
    assert model.take_in(model.land("b4", rows(4))).success
    assert set(model.predictions("b4")["model_version"]) == {1}


@pytest.mark.promise(1)
@pytest.mark.fault(14)
def test_model_that_holds_the_answer_is_stopped(deployment, name):
    model = deployment.model(name)
    told = {f"b{number}": rows(number).assign(hint=lambda f: f["y"] * 2 + 1) for number in (1, 2)}
    model.prepare(**told)
    result = model.challenge()
    assert "'hint' (r2 1.00000" in failed(result)["no_leakage"]
    assert model.champion() is None


@pytest.mark.promise(1)
@pytest.mark.fault(47)
def test_model_no_better_than_the_baseline_is_refused(deployment, name):
    model = deployment.model(name)
    model.prepare(**{f"b{n}": rows(n).assign(y=np.random.default_rng(90 + n).normal(size=60)) for n in (1, 2)})
    assert model.materialize("challenger", "training_set").success
    (record,) = TrainingLedger(deployment.storage, name).all()
    assert record.status == "fitted"  # a run that dies here is carried on with: `champion` has not judged yet
    result = model.train()
    assert result.success and model.champion() is None
    assert "is no better than" in failed(result)["beats_baseline"]
    assert model.shown("evaluation")["rmse"] > 0  # what a person looks at next
    assert model.shown("champion")["reason"].startswith("gates not passed: beats_baseline: rmse")
    assert model.take_in(model.land("b3", rows(3))).success  # of what follows, nothing runs without a champion


@pytest.mark.promise(1)
@pytest.mark.fault(56)
def test_a_challenger_no_better_than_the_baseline_leaves_the_champion_at_work(deployment, name):
    model = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.train(**GOOD).success
    model.prepare(b3=rows(3).assign(y=np.random.default_rng(93).normal(scale=9, size=60)))
    result = model.train(**GOOD)
    assert result.success and "is no better than" in failed(result)["beats_baseline"]
    assert "has_champion" not in failed(result) and model.champion() == 1
    shown = model.shown("champion")
    assert (shown["verdict"], shown["version"], shown["judged_version"]) == ("keep", 1, 2)
    record = TrainingLedger(deployment.storage, name).all()[0]
    assert (record.status, record.version) == ("refused", 2)
    assert record.reason.startswith("beats_baseline: rmse")


@pytest.mark.promise(5)
@pytest.mark.fault(50)
def test_champion_of_other_features_is_not_compared(deployment, name):
    model = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge().success
    fewer = deployment.model(name, drop=["z"])
    for batch in ("b1", "b2"):
        assert fewer.materialize("features", batch=batch).success
    assert fewer.challenge().success
    shown = fewer.shown("champion")
    assert (fewer.champion(), shown["verdict"]) == (1, "inconclusive")
    assert "champion version 1 cannot score the challenger's features" in shown["reason"]


def test_a_version_that_was_slow_is_measured_again_and_not_fitted_again(deployment, name):
    hurried = deployment.model(name, gates=Gates(max_latency_ms=1e-6))
    hurried.prepare(b1=rows(1), b2=rows(2))
    assert not hurried.challenge().success
    (record,) = TrainingLedger(deployment.storage, name).all()
    assert (record.status, record.version, hurried.champion()) == ("slow", 1, None)
    assert record.reason.startswith("latency: 1 row: ") and record.reason.endswith("expected at most 1e-06 ms")
    patient = deployment.model(name)
    assert patient.challenge().success
    (record,) = TrainingLedger(deployment.storage, name).all()
    assert (record.status, patient.champion()) == ("judged", 1)
    assert not hurried.challenge(alpha=0.5).success
    judged = hurried.materialize("champion", version=2)  # slow in the second measurement, beside a champion
    assert f"{name} version 2 was slow: gates not passed: latency: 1 row: " in why(judged)
    newest = TrainingLedger(deployment.storage, name).all()[0]
    assert (newest.status, newest.version, hurried.champion()) == ("slow", 2, 1)
