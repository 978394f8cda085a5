"""A rejected batch stays out of everything until a good one takes its place; every batch is used, out or waiting."""

import pytest

from support.deployment import DeployedModel, Deployment, why
from support.synthetic import rows

REASON = "key_unique: 60 rows share their key 'id'"


@pytest.fixture
def model(deployment: Deployment, name: str) -> DeployedModel:
    """Two good batches, and one that repeats its keys."""
    model = deployment.model(name)
    model.prepare(b1=rows(1), b2=rows(2))
    model.land("b3", rows(3).assign(id=7))
    assert not model.take_in("b3").success
    return model


def roles(model: DeployedModel) -> dict[str, str]:
    """What the newest training set did with each batch."""
    return {row["batch"]: row["role"] for row in model.shown("training_set")["batches"]}


@pytest.mark.promise(4)
def test_rejected_batch_stays_out_until_it_is_replaced(model):
    assert model.challenge().success and model.champion() == 1
    assert roles(model) == {"b1": "train", "b2": "holdout", "b3": "out"}
    for kind in ("features", "predictions", "drift", "performance"):
        result = model.materialize(kind, batch="b3")
        assert f"{model.name}: batch 'b3' was rejected: {REASON}" in why(result)
    assert model.take_in(model.land("b4", rows(4))).success
    assert model.challenge().success
    assert roles(model) == {"b1": "train", "b2": "train", "b3": "out", "b4": "holdout"}
    out = next(row["why"] for row in model.shown("training_set")["batches"] if row["batch"] == "b3")
    assert out.startswith(f"rejected: {REASON}")

    assert model.take_in(model.land("b3", rows(3))).success
    assert (model.record("b3").status, model.record("b3").reasons) == ("accepted", ())
    assert model.predictions("b3")["id"].tolist() == rows(3)["id"].tolist()
    assert model.challenge().success
    assert roles(model) == {"b1": "train", "b2": "train", "b3": "train", "b4": "holdout"}


@pytest.mark.promise(4)
def test_accepted_batch_that_turns_bad_is_taken_out(model):
    model.prepare(b3=rows(3), b4=rows(4))
    assert not model.take_in(model.land("b4", rows(4).drop(columns="z"))).success
    assert model.challenge().success
    assert roles(model) == {"b1": "train", "b2": "train", "b3": "holdout", "b4": "out"}


@pytest.mark.promise(4)
def test_batch_without_features_is_visibly_waiting(model):
    model.land("b3", rows(3))
    assert model.materialize("dataset", batch="b3").success
    assert model.challenge().success
    waiting = next(row for row in model.shown("training_set")["batches"] if row["batch"] == "b3")
    assert waiting["role"] == "out"
    assert waiting["why"].startswith("waiting: its features were not computed yet; materialise its partition")


def test_dataset_validated_anew_keeps_the_features_of_the_same_rows(model):
    assert model.materialize("dataset", batch="b2").success
    assert model.challenge().success
    assert roles(model) == {"b1": "train", "b2": "holdout", "b3": "out"}


@pytest.mark.promise(4)
@pytest.mark.fault(25)
def test_file_deleted_before_the_run_says_so_and_comes_back(model):
    model.land("b4", rows(4))
    (model.landing / "b4.csv").unlink()
    assert "batch 'b4': there is no such file; it was there before. Put it back" in why(model.take_in("b4"))
    assert model.take_in(model.land("b4", rows(4))).success


def test_rows_of_a_rejected_batch_are_kept_apart_for_a_person(model):
    version = model.record("b3").version
    assert version is not None and model.record("b3").rows == 60
    kept = model.storage.read_frame(model.name, "rejected", "b3", version)
    assert kept["id"].tolist() == ["7"] * 60
