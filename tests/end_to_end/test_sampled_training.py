"""Training rows beyond `memory_mb`: a sample of them, the same on every reading, and said wherever people look."""

import re

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from mlops_assets import Folder, Limits, disk_frame
from mlops_assets.records import rows as rows_module
from mlops_assets.records.manifests import read_manifest
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import read_holdout, read_train
from mlops_assets.sensors.retraining.gather import Runs, evidence_of
from support.deployment import text_of, why
from support.reproduced import again
from support.synthetic import rows

MB = 0.03  # some 500 of 2,000 rows
COUNT = 500
FRAUD = {"target": "kind", "drop": ["y", "bought"], "metrics": ["log_loss"], "slices": ["colour"]}


def batch(number: int) -> pd.DataFrame:
    """Rows in two classes and four of a third; `y` tells of which row features and label are."""
    frame = rows(number, count=COUNT)
    kind = np.where(frame["bought"] == 1, "bought", "left")
    kind[[3, 77, 200, 401]] = "fraud"
    return frame.assign(kind=kind)


def declared(deployment, name: str, memory_mb: float = MB, **fields):
    folder = Folder(str(deployment.home / "landing" / name / "*.csv"), limits=Limits(memory_mb=memory_mb))
    fraud = {"estimator": "sklearn.linear_model.LogisticRegression", **FRAUD}
    return deployment.model(name, source=folder, **{**fraud, **fields})


def sides(model, version: int):
    """Training rows of a version and, but for a refit, its holdout, read anew."""
    rows_module._rows.cache_clear()
    known = model.registry.version(model.name, version)
    manifest = read_manifest(model.records, known.data_version)
    readers = (read_train, read_holdout) if manifest.holdout else (read_train,)
    return tuple(read(model.records, manifest) for read in readers)


def prepared(model, count: int = 4):
    model.prepare(**{f"b{number}": batch(number) for number in range(1, count + 1)})
    return model


@pytest.fixture(scope="module")
def sampled(deployment):
    """A champion of 2,000 rows, of which about 500 fit into memory: version 1."""
    model = prepared(declared(deployment, "sampled"))
    result = model.train()
    assert result.success, why(result)
    return model


def test_shares_of_batches_and_classes_and_what_belongs_to_a_row(sampled):
    train, holdout = sides(sampled, 1)
    share = train.drawn[0].sample.share
    assert 0.2 < share < 0.35 and holdout.drawn[0].sample.share == pytest.approx(share, abs=1e-5)
    assert (train.drawn[0].rows, holdout.drawn[0].rows) == (1_500, 500)
    assert abs(len(holdout.y) - 500 * share) < 2 and abs(len(train.y) - (1_488 * share + 12)) < 2
    assert np.unique(train.batch).tolist() == [0, 1, 2] and (np.diff(train.batch) >= 0).all()
    assert train.about["day"].is_monotonic_increasing and holdout.about["day"].is_monotonic_increasing
    all_rows = pd.concat([batch(number) for number in (1, 2, 3, 4)]).set_index("id")
    for side in (train, holdout):
        own = all_rows.loc[side.about["id"]].reset_index(drop=True)
        assert np.allclose(side.X["x"], own["x"]) and (side.y == own["kind"]).all()
        assert (side.about["colour"] == own["colour"]).all()
    fraud, ordinary = (train.y[train.y.eq("fraud") == rare] for rare in (True, False))
    assert len(fraud) == 12  # all: the floor is a tenth of the sample, for each of three classes
    for ordinal in range(3):
        for kind in ("bought", "left"):
            of_all = batch(ordinal + 1)["kind"].eq(kind).sum()
            of_sample = (ordinary[train.batch[ordinary.index] == ordinal] == kind).sum()
            assert abs(of_sample - of_all * share) <= 1
    assert holdout.y.eq("fraud").sum() == 1  # its share, without a floor


def test_the_sample_is_said_wherever_people_look(sampled):
    taken, judged = (len(side.y) for side in sides(sampled, 1))
    of_train = (
        f"training rows: a sample by batch and class of {taken} of 1,500 labelled rows, seed 0: training and holdout "
        "rows exceed limits.memory_mb=0.03; class 'fraud' keeps 12 of its 12 rows, more than its share of 3."
    )
    of_holdout = (
        f"a sample by batch and class of {judged} of 500 labelled rows, seed 0: training and holdout rows exceed"
    )
    for asset in ("training_set", "challenger", "evaluation", "model_card"):
        said = sampled.shown(asset)["sample"]
        assert said.startswith(of_train) and f"; holdout: {of_holdout}" in said, asset
    shown = sampled.shown("training_set")
    assert (shown["train_rows"], shown["holdout_rows"]) == (taken, judged)
    fraud = {each["rows of"]: each for each in shown["sampled_classes"] if each["class"] == "'fraud'"}
    assert (fraud["training"]["rows"], fraud["training"]["taken"], fraud["holdout"]["taken"]) == (12, 12, 1)
    version = sampled.registry.version(sampled.name, 1)
    run = MlflowClient(tracking_uri=sampled.registry.tracking_uri).get_run(version.run_id)
    assert version.tags["sample"] == run.data.tags["sample"] == shown["sample"]
    assert (run.data.metrics["train_rows"], run.data.metrics["holdout_rows"]) == (taken, judged)
    (training,) = sampled.records.trainings.all()
    assert training.sample == shown["sample"]
    reason = f"first model: all absolute gates passed; judged on {of_holdout}"
    assert sampled.records.promotions.champion().reason.startswith(reason) and training.reason.startswith(reason)
    card = sampled.shown("model_card")
    assert re.fullmatch(r"a sample \(2\d\.\d%\) of 1,500 labelled rows of 3 batches, b1 to b3", card["trained_on"])
    assert re.match(r"a sample \(2\d\.\d%\) of 500 labelled rows of batch b4", card["judged_on"])
    assert f"a sample by batch and class of {taken} of 1,500" in text_of(card["card"])
    warnings = [
        event.user_message
        for event in sampled.instance.all_logs(training.run_id)
        if event.level >= 30 and "sample by batch" in event.user_message
    ]
    assert len(warnings) == 1 and of_train in warnings[0]


def test_the_same_rows_and_model_again_whatever_the_limit_is_then(sampled, deployment):
    one, other = sides(sampled, 1), sides(sampled, 1)
    for side, same in zip(one, other, strict=True):
        pd.testing.assert_frame_equal(side.X, same.X)
        pd.testing.assert_series_equal(side.y, same.y)
    evidence = evidence_of(sampled.records, Runs({}, {}))
    assert evidence.outcome.startswith("promote (version 1): ")  # trained already
    assert sampled.challenge().success and len(sampled.registry.versions(sampled.name)) == 1
    found = again(sampled)
    assert (found.verdict, found.differences, found.notes) == ("identical", (), ())
    taken, judged = (len(side.y) for side in one)
    assert found.reason == f"identical on {taken} training rows and {judged} holdout rows, bit for bit"
    whole = declared(deployment, "sampled", memory_mb=500)
    assert again(whole).reason == found.reason
    assert evidence_of(whole.records, Runs({}, {})).outcome == ""  # all rows are another training set


@pytest.mark.slow
def test_a_later_version_is_compared_on_a_sampled_holdout_and_a_larger_limit_takes_all(deployment):
    model = prepared(declared(deployment, "sampled_later", params={"C": 1e-4}))
    assert model.challenge().success
    model.prepare(b5=batch(5), b6=batch(6))
    model = declared(deployment, "sampled_later", params={"C": 1.0})
    assert model.challenge().success
    shown = model.shown("champion")
    assert (shown["verdict"], shown["version"]) == ("promote", 2)
    assert "; judged on a sample by batch and class of " in shown["reason"]
    manifest = read_manifest(model.records, model.registry.version(model.name, 2).data_version)
    assert len(sides(model, 2)[1].y) < manifest.rows("holdout") == 500
    model = declared(deployment, "sampled_later", params={"C": 0.5}, memory_mb=500)
    model.prepare(b7=batch(7))
    assert model.challenge().success
    train, holdout = sides(model, 3)
    assert (len(train.y), len(holdout.y), train.sample, holdout.sample) == (3_000, 500, "", "")
    assert (
        model.shown("training_set").get("sample") is None and "sample" not in model.registry.version(model.name, 3).tags
    )
    assert model.records.trainings.all()[0].sample == ""


@pytest.mark.slow
def test_a_refit_is_fitted_on_the_rows_that_its_version_was_trained_and_judged_on(deployment):
    model = prepared(declared(deployment, "sampled_refit", refit=True))
    result = model.train()
    assert result.success, why(result)
    judged, refit = sides(model, 1), sides(model, 2)[0]
    ids = [side.about["id"].tolist() for side in judged]
    assert refit.about["id"].tolist() == [*ids[0], *ids[1]]
    assert [drawn.sample.role for drawn in refit.drawn] == ["train", "holdout"]
    version = model.registry.version(model.name, 2)
    assert version.judged.sample == model.registry.version(model.name, 1).sample != version.sample
    assert "as judged: training rows: a sample" in model.shown("model_card")["sample"]
    assert again(model).reason.startswith(f"identical on {len(refit.y)} training rows")


@pytest.mark.slow
def test_labels_that_come_later_are_drawn_of_those_known_in_time(deployment, name):
    labels = deployment.home / f"labels_{name}"
    labels.mkdir()
    late = Folder(str(labels / "*.csv"))
    fields = {"target": "y", "drop": ["bought", "kind"], "metrics": ["rmse"], "slices": [], "label_share": 0.5}
    model = declared(
        deployment, name[:60], estimator="sklearn.linear_model.Ridge", outcomes=late, known_at="known", **fields
    )
    for number in (1, 2, 3):
        frame = batch(number)
        known = frame["day"] + pd.to_timedelta(np.where(frame.index % 4 == 0, 30, 0), unit="D")
        outcome = pd.DataFrame({"id": frame["id"], "y": 3 * frame["x"], "known": known})
        outcome[outcome.index % 10 != 1].to_csv(labels / f"b{number}.csv", index=False)
        model.instance.add_dynamic_partitions(f"{model.name}_outcomes", [f"b{number}"])
        assert model._run("outcomes", partition_key=f"b{number}").success
    model.prepare(**{f"b{number}": batch(number).drop(columns="y") for number in (1, 2, 3)})
    assert model.materialize("training_set").success
    version = model.shown("training_set")["version"]
    records = ModelRecords(model.pipeline, model.storage)
    manifest = read_manifest(records, version)
    train, holdout = read_train(records, manifest), read_holdout(records, manifest)
    share = manifest.train[0].share
    assert train.drawn[0].rows == 2 * 325 and train.known_later == 2 * 125  # a tenth has no label, a quarter a late one
    assert len(train.y) == round(650 * share) and len(holdout.y) == round(450 * manifest.holdout[0].share)
    assert (train.about["id"] % 4 != 0).all() and (train.about["id"] % 10 != 1).all()
    for side in (train, holdout):
        assert np.allclose(side.y, 3 * side.X["x"])


def halves(batch, history):
    return (batch[["x", "z"]] / 2).assign(colour=batch["colour"])


@pytest.mark.slow
def test_batches_that_do_not_fit_are_trained_on_and_fitted_again(deployment, name, monkeypatch):
    monkeypatch.setattr(disk_frame, "ROWS_AT_ONCE", 170)
    folder = deployment.home / "landing" / name
    folder.mkdir(parents=True)
    source = Folder(str(folder / "*.parquet"), limits=Limits(memory_mb=0.006))
    fields = {**FRAUD, "estimator": "sklearn.linear_model.LogisticRegression", "features": halves, "chunked": True}
    model = deployment.model(name, source=source, **fields)
    for number in (1, 2, 3):
        batch(number).assign(day=lambda frame: frame["day"].astype("datetime64[us]")).to_parquet(
            folder / f"b{number}.parquet", row_group_size=90
        )
        result = model.materialize("dataset", "features", batch=f"b{number}")
        assert result.success, why(result)
    assert model.records.large("features", model.record("b1")) is not None
    result = model.challenge()
    assert result.success, why(result)
    train, holdout = sides(model, 1)
    all_rows = pd.concat([batch(number) for number in (1, 2, 3)]).set_index("id")
    for side in (train, holdout):
        own = all_rows.loc[side.about["id"]].reset_index(drop=True)
        assert np.allclose(2 * side.X["x"], own["x"]) and (side.y == own["kind"]).all()
    assert len(train.y) + len(holdout.y) < 200
    found = again(model)
    assert (found.verdict, found.differences, found.notes) == ("identical", (), ())
    batch(2).assign(x=0.0).to_parquet(folder / "b2.parquet")
    (difference,) = again(model).differences
    assert difference.what == "batch b2: source"
