"""`refit`: what is promoted is fitted once more on all rows, and that version serves; the other one was judged."""

import numpy as np
import pytest
from mlflow import MlflowClient
from sklearn.linear_model import Ridge
from sklearn.tree import DecisionTreeClassifier

from mlops_assets import Drift, Search
from mlops_assets.assets.batch.estimate import BatchEstimate
from mlops_assets.cli.champion_history import champion_periods
from mlops_assets.cli.on_record import decisions
from mlops_assets.decisions.performance.estimated import estimate
from mlops_assets.modelling.metrics import metric
from mlops_assets.modelling.predictions import predict
from mlops_assets.records.manifests import read_manifest
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.promotions import PromotionLedger
from mlops_assets.records.reports import BatchReports
from mlops_assets.records.requests import Requests
from mlops_assets.records.rows import read_holdout, read_train
from mlops_assets.records.trainings import TrainingLedger
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.sensors.retraining.gather import Runs, evidence_of
from support.deployment import DeployedModel, why
from support.reproduced import again
from support.synthetic import rows

ADA = {"by": "ada", "reason": "complaints since Monday"}
TREE = {
    "estimator": "sklearn.tree.DecisionTreeClassifier",
    "search": Search({"max_depth": [2, 4]}, method="grid", folds=2),
    "target": "bought",
    "drop": ["y"],
    "metrics": ["accuracy", "log_loss"],
    "drift": Drift(season=["hour"]),  # the holdout, one batch, holds its hour on one day alone
    "seed": 5,
}


def rows_of(model: DeployedModel, version: int):
    """The rows that a version was fitted on, and those that it was judged on."""
    known = model.registry.version(model.name, version)
    trained, judged = (read_manifest(model.records, each.data_version) for each in (known, known.judged))
    declared = model.pipeline
    return read_train(ModelRecords(declared, model.storage), trained), read_holdout(
        ModelRecords(declared, model.storage), judged
    )


def ledger(model: DeployedModel) -> dict:
    return {each.version: (each.status, each.verdict) for each in TrainingLedger(model.storage, model.name).all()}


def numbers(model: DeployedModel) -> list[int]:
    return [each.version for each in model.registry.versions(model.name)]


def refitted_model(deployment, name: str) -> DeployedModel:
    """Version 1 was judged on b3 and promoted, version 2 is its refit; b4 came after it."""
    model = deployment.model(name, refit=True, **TREE)
    model.prepare(b1=rows(1, 90), b2=rows(2, 90), b3=rows(3, 90))
    assert model.train().success
    assert model.take_in(model.land("b4", rows(4, 90))).success
    return model


@pytest.fixture(scope="module")
def refitted(deployment) -> DeployedModel:
    """A refitted model that tests look at and leave as it is."""
    return refitted_model(deployment, "refitted_tree")


def test_the_refit_is_the_same_recipe_on_all_rows_and_becomes_champion(refitted):
    judged, made = (refitted.registry.version(refitted.name, number) for number in (1, 2))
    assert (refitted.champion(), numbers(refitted), made.refit_of) == (2, [2, 1], 1)
    assert (made.judged.digest, made.judged.run_id, judged.judged) == (judged.digest, judged.run_id, judged)
    train, holdout = rows_of(refitted, 2)
    assert (len(train.y), len(holdout.y), len(rows_of(refitted, 1)[0].y)) == (270, 90, 180)
    assert refitted.registry.params(made.run_id) == refitted.registry.params(judged.run_id)
    depth = int(refitted.registry.params(judged.run_id)["max_depth"])
    encoded = train.X.assign(colour=train.X["colour"].astype("category").cat.codes)
    by_hand = DecisionTreeClassifier(max_depth=depth, random_state=5).fit(encoded, train.y)
    said = predict(refitted.registry.load(made), train.X)
    assert np.mean(said.value == by_hand.predict(encoded)) > 0.97  # the pack encodes colours in its own way

    shown = refitted.shown("champion")
    assert (shown["version"], shown["judged_version"], shown["refit_of"], shown["verdict"]) == (2, 1, 1, "promote")
    reason = "first model: all absolute gates passed; refitted on training and holdout rows as version 2"
    assert shown["reason"] == reason == made.tags["reason"] == judged.tags["reason"]
    assert [(each["gate"], each["passed"]) for each in shown["refit"]] == [
        *(("loads_back", True), ("latency", True), ("size", True), ("agrees", True))
    ]
    assert [(each["version"], each["verdict"]) for each in shown["history"]] == [
        (2, "promote, refit of version 1"),
        (1, "promote"),
    ]
    assert ledger(refitted) == {1: ("judged", "promote")}
    assert PromotionLedger(refitted.storage, refitted.name).champion().version == 2


def test_what_serves_is_the_refit_and_what_it_is_held_against_is_what_the_judged_version_said(refitted):
    assert set(refitted.predictions("b4")["model_version"]) == {2}
    figures = BatchReports(refitted.storage, refitted.name).all("performance")["b4"].figures
    assert figures["holdout_accuracy"] == pytest.approx(refitted.shown("challenger")["holdout_accuracy"], abs=1e-5)
    _, held_out = rows_of(refitted, 2)
    judged, made = (refitted.registry.load(refitted.registry.version(refitted.name, each)) for each in (1, 2))
    seen = metric("accuracy").function(held_out.y.to_numpy(), predict(made, held_out.X))
    assert seen != figures["holdout_accuracy"]

    assert refitted.shown("drift")["reference_rows"] == 270
    kept = refitted.records.of(BatchEstimate).get("b4")
    X = refitted.storage.read_frame(refitted.name, "features", "b4", refitted.record("b4").features)
    y, unseen = held_out.y.to_numpy(), predict(judged, held_out.X)
    found = estimate("accuracy", y, unseen, predict(made, X))
    assert (kept.value, kept.low, kept.high, kept.model_version) == (found.value, found.low, found.high, 2)


def test_history_why_card_and_reproduce_name_the_version_that_was_judged(refitted):
    promotions = PromotionLedger(refitted.storage, refitted.name).all()
    (period,) = champion_periods(refitted.instance, refitted.name, promotions)
    assert (period.version, period.refit_of, period.how, period.metric) == (2, 1, "first", "accuracy")
    assert period.value == refitted.shown("challenger")["holdout_accuracy"]
    (told,) = [each for each in decisions(refitted.instance, refitted.records, 50) if each.kind == "verdict"]
    assert (told.decision, told.about, len(told.evidence["refit"])) == ("promote", "version 1", 4)

    card = refitted.shown("model_card")
    assert card["trained_on"] == "270 labelled rows of 3 batches, b1 to b3"
    assert card["judged_on"].startswith("90 labelled rows of batch b3, as version 1")
    on_card = {each["metric"]: each["on the holdout"] for each in card["metrics"]}
    assert on_card["accuracy"] == pytest.approx(period.value, abs=1e-4)

    found = again(refitted)
    assert (found.version, found.verdict, list(found.agreements)) == (2, "identical", ["training rows"])
    assert found.agreements["training rows"].rows == 270 and not found.differences
    assert "a refit of version 1, on the rows that it was trained and judged on" in found.notes


def test_the_judged_version_serves_as_a_measure_also_where_it_was_deleted(deployment):
    refitted = refitted_model(deployment, "refitted_deleted")
    MlflowClient(tracking_uri=deployment.registry.tracking_uri).delete_model_version(refitted.name, "1")
    report = BatchReports(refitted.storage, refitted.name)
    why = "the holdout, on which alone it predicted what it was not trained on, holds one hour from 00:00"
    assert refitted.shown("drift")["unknown"].startswith(why)
    assert f"; unknown: {why}" in report.all("drift")["b4"].reason
    assert refitted.take_in(refitted.land("b5", rows(5, 90))).success
    why = "rows are autocorrelated over long stretches"  # of the hour there are two days now: b4 was scored since
    assert refitted.shown("drift")["unknown"].startswith(why)
    before, after = (report.all("performance")[each] for each in ("b4", "b5"))
    assert after.figures["holdout_accuracy"] == before.figures["holdout_accuracy"]
    assert after.model_version == 2


@pytest.mark.slow
def test_the_next_holdout_is_later_than_the_refit_and_something_must_be_new_before_it(deployment):
    model = deployment.model("refitted_ridge", refit=True, params={"alpha": 1e4})
    model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
    assert model.challenge().success and model.champion() == 2
    assert model.materialize("champion").success
    assert model.shown("champion")["reason"] == "version 1 is the champion already, refitted as version 2"
    assert (model.champion(), ledger(model)) == (2, {1: ("judged", "promote")})
    said = why(model.challenge(alpha=0.1))
    assert "no labelled batch is later than what the champion was trained on (its newest: 'b3')" in said

    model.prepare(b4=rows(4))
    evidence = evidence_of(model.records, Runs({}, {}))
    assert (evidence.nothing_new, evidence.trained_rows, evidence.new_batches) == (True, 180, 1)
    model.prepare(b5=rows(5))
    evidence = evidence_of(model.records, Runs({}, {}))
    assert (evidence.nothing_new, evidence.trainable_rows, evidence.new_batches) == (False, 240, 2)
    assert model.challenge(alpha=0.1).success
    shown = model.shown("champion")
    assert (model.champion(), shown["judged_version"], shown["version_before"]) == (4, 3, 2)
    assert model.registry.version(model.name, 3).tags["compared_with"] == "2"

    assert model.materialize("champion", action="rollback", **ADA).success and model.champion() == 2
    assert model.materialize("champion", action="rollback", version=3, **ADA).success  # what was judged may serve too
    assert model.champion() == 3 and numbers(model) == [4, 3, 2, 1]
    assert model.materialize("champion", action="promote", version=4, **ADA).success
    assert model.champion() == 4 and numbers(model) == [4, 3, 2, 1]
    assert {"agrees", "beats_baseline"} <= {each["gate"] for each in model.shown("champion")["gates"]}


@pytest.mark.slow
def test_a_person_approves_what_was_judged_and_its_refit_becomes_champion(deployment):
    model = deployment.model("refitted_approved", refit=True, approval="required")
    model.prepare(b1=rows(1), b2=rows(2))
    assert model.challenge().success and (model.champion(), numbers(model)) == (None, [1])
    assert model.materialize("champion", action="approve", **ADA).success
    assert (model.champion(), numbers(model), ledger(model)) == (2, [2, 1], {1: ("judged", "promote")})
    assert Requests(model.storage, model.name).waiting() is None
    assert model.registry.champion(model.name).tags["decided_by"] == "ada"


class Stubborn(Ridge):
    """Fits no more than 120 rows."""

    def fit(self, X, y):
        if len(X) > 120:
            raise ValueError("no more rows, please")
        return super().fit(X, y)


class Contrary(Ridge):
    """Learns the opposite from more than 120 rows."""

    def fit(self, X, y):
        return super().fit(X, -y if len(X) > 120 else y)


def stubborn():
    return Stubborn()


def contrary():
    return Contrary()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("estimator", "versions", "reason"),
    [
        (stubborn, [1], "not refitted: fitting Stubborn on 180 rows x 4 columns failed: ValueError: no more rows"),
        (contrary, [2, 1], "not refitted: agrees: the refit is "),
    ],
)
def test_a_refit_that_fails_leaves_the_judged_version_promoted_and_says_why(deployment, estimator, versions, reason):
    model = deployment.model(
        f"refit_{estimator.__name__}", refit=True, estimator=estimator, serialization="cloudpickle"
    )
    model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
    assert model.challenge().success
    shown = model.shown("champion")
    assert (model.champion(), shown["version"], shown["judged_version"], numbers(model)) == (1, 1, 1, versions)
    assert shown["reason"].startswith(f"first model: all absolute gates passed; {reason}")
    assert ledger(model) == {1: ("judged", "promote")}
    if len(versions) == 2:
        assert [each["gate"] for each in shown["refit"] if not each["passed"]] == ["agrees"]
        tags = model.registry.version(model.name, 2).tags
        assert (tags["verdict"], tags["reason"].startswith("agrees: the refit is ")) == ("keep", True)
        said = why(model.materialize("champion", action="promote", version=2, **ADA))
        assert "version 2 may not be promoted: agrees: the refit is" in said
    assert model.take_in(model.land("b4", rows(4))).success
    assert set(model.predictions("b4")["model_version"]) == {1}


@pytest.mark.promise(3)
@pytest.mark.fault(34)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_around_the_alias_leaves_it_unmoved_or_fully_moved(deployment, when, monkeypatch):
    model = deployment.model(f"refit_crash_{when}", refit=True)
    model.prepare(b1=rows(1), b2=rows(2))
    set_champion = MlflowRegistry.set_champion

    def crash(registry, of, number):
        if when == "after":
            set_champion(registry, of, number)
        raise RuntimeError("the process is gone")

    monkeypatch.setattr(MlflowRegistry, "set_champion", crash)
    assert not model.challenge().success
    monkeypatch.undo()
    assert (model.champion(), numbers(model)) == (None if when == "before" else 2, [2, 1])
    assert PromotionLedger(model.storage, model.name).champion() is None

    assert model.materialize("champion").success
    assert (model.champion(), numbers(model), ledger(model)) == (2, [2, 1], {1: ("judged", "promote")})
    record = PromotionLedger(model.storage, model.name).champion()
    assert (record.version, record.as_version(model.name).judged.version) == (2, 1)
    assert record.number == (2 if when == "before" else 1)
