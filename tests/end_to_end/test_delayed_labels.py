"""Rows are scored before their labels are known; labels fill in, and are used from the moment they were known."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from mlops_assets import Folder
from mlops_assets.assets.batch import outcomes as outcomes_step
from mlops_assets.assets.batch.completeness import outstanding
from mlops_assets.assets.batch.outcomes import outcome_batches
from mlops_assets.assets.shared.keys import MARK
from mlops_assets.records.manifests import read_manifest
from mlops_assets.records.outcomes import OutcomesLedger, OutcomesRecord
from mlops_assets.records.reports import BatchReport, BatchReports
from mlops_assets.records.rows import read_holdout, read_train
from support.deployment import DeployedModel, Deployment, checks, failed, why
from support.rewind import RewoundDeployment
from support.synthetic import rows

FEW = "{} are needed, since early labels differ from late labels"


class LateModel(DeployedModel):
    """A model whose labels land in a folder of their own."""

    @classmethod
    def of(cls, deployment: Deployment, name: str, rows_from: Folder | None = None, **declared) -> "LateModel":
        landing = deployment.home / "landing" / f"{name}_outcomes"
        landing.mkdir(parents=True, exist_ok=True)
        declared = {"outcomes": Folder(str(landing / "*.csv"), **declared.pop("outcomes", {})), **declared}
        model = deployment.model(name, **declared)
        late = cls(deployment, model.pipeline, model.landing)
        late.told = landing
        return late

    def tell(self, batch: str, content: pd.DataFrame, mark: str = ""):
        """Put a file of labels into their landing folder, and one run of `<model>_outcomes`."""
        content.to_csv(self.told / f"{batch}.csv", index=False)
        self.instance.add_dynamic_partitions(outcome_batches(self.name).name, [batch])
        return self._run("outcomes", partition_key=batch, tags={MARK: mark} if mark else {})

    def report(self, batch: str) -> BatchReport:
        found = BatchReports(self.storage, self.name).get("performance", batch)
        assert found is not None
        return found

    def roles(self) -> dict[str, tuple[str, str]]:
        return {row["batch"]: (row["role"], row["why"]) for row in self.shown("training_set")["batches"]}


def unlabelled(number: int) -> pd.DataFrame:
    return rows(number).drop(columns=["y", "bought"])


def labels(*numbers: int) -> pd.DataFrame:
    return pd.concat([rows(number)[["id", "y"]] for number in numbers])


@pytest.fixture(scope="module")
def champion(own_deployment: RewoundDeployment) -> LateModel:
    """Two batches with all their labels, and a champion."""
    model = LateModel.of(own_deployment, "late")
    model.prepare(b1=unlabelled(1), b2=unlabelled(2))
    assert model.tell("o1", labels(1, 2)).success
    assert model.challenge().success and model.champion() == 1
    own_deployment.remember()
    return model


@pytest.fixture
def model(own_deployment: RewoundDeployment, champion: LateModel) -> LateModel:
    own_deployment.rewind()
    return champion


@pytest.mark.fault(51)
def test_performance_fills_in_as_labels_come(model):
    result = model.take_in(model.land("b3", unlabelled(3)))
    assert result.success and len(model.predictions("b3")) == 60
    none = "insufficient labels: none of 60 rows has one yet"
    assert failed(result)["no_decay"] == none
    assert checks(result)["no_decay"].severity.name == "WARN"
    report = model.report("b3")
    assert (report.verdict, report.reason, report.model_version) == ("insufficient labels", none, 1)
    assert (report.figures, report.identity) == ({"rows": 0, "labelled_share": 0}, model.record("b3").identity)
    assert model.shown("performance")["labelled_share"] == 0

    assert model.tell("o2", labels(3)[:30]).success
    assert model.report("b3").identity != model.record("b3").identity
    half = "insufficient labels: 30 of 60 rows (50%) have one; " + FEW.format("80%")
    assert failed(model.materialize("performance", batch="b3"))["no_decay"] == half
    assert model.report("b3").figures == {"rows": 30, "labelled_share": 0.5}
    shown = model.shown("performance")
    assert (shown["labelled_share"], shown["rows"], shown["verdict"]) == (0.5, 30, "insufficient labels")

    assert model.tell("o3", labels(3)[30:]).success
    assert failed(model.materialize("performance", batch="b3")) == {}
    report = model.report("b3")
    assert (report.verdict, report.identity) == ("no decay", model.record("b3").identity)
    scored = model.predictions("b3").merge(labels(3), on="id")
    rmse = float(np.sqrt(np.mean((scored["prediction"] - scored["y"]) ** 2)))
    assert report.figures == {
        "rmse": pytest.approx(rmse),
        "holdout_rmse": pytest.approx(1.0, abs=0.5),
        "rows": 60,
        "labelled_share": 1,
    }
    assert model.shown("performance")["labelled_share"] == 1


def test_decay_is_seen_once_enough_labels_are_in(model):
    assert model.take_in(model.land("b3", unlabelled(3))).success
    wrong = labels(3).assign(y=lambda told: told["y"] + 10)
    assert model.tell("o2", wrong[:48]).success  # 80%
    result = model.materialize("performance", batch="b3")
    assert "% worse" in failed(result)["no_decay"]
    assert (model.report("b3").verdict, model.report("b3").figures["labelled_share"]) == ("decay", 0.8)


@pytest.mark.promise(4)
@pytest.mark.fault(51)
def test_training_waits_for_labels_and_uses_those_that_came_late(model):
    model.prepare(b3=unlabelled(3))
    assert model.tell("o2", labels(3)[:47]).success
    assert model.challenge().success
    waits = "waiting: 78% of its rows have labels, 80% are needed"
    assert model.roles() == {"b1": ("train", ""), "b2": ("holdout", ""), "b3": ("out", waits)}
    assert model.tell("o3", labels(3)[47:50]).success
    assert model.challenge().success
    assert model.roles() == {"b1": ("train", ""), "b2": ("train", ""), "b3": ("holdout", "")}
    shown = model.shown("training_set")
    assert (shown["train_rows"], shown["holdout_rows"]) == (120, 50)
    before = shown["version"]
    assert model.tell("o4", labels(3)[50:]).success
    assert model.challenge().success
    assert (model.shown("training_set")["holdout_rows"], model.shown("training_set")["version"]) != (50, before)
    manifest = read_manifest(model.records, before)  # the former is what it was
    assert len(read_holdout(model.records, manifest).y) == 50


def test_a_label_that_comes_late_for_an_old_batch_makes_another_training_set(deployment, name):
    model = LateModel.of(deployment, name)
    model.prepare(b1=unlabelled(1), b2=unlabelled(2))
    assert model.tell("o1", pd.concat([labels(1)[:50], labels(2)])).success
    assert model.challenge().success
    assert (model.shown("training_set")["train_rows"], model.record("b1").labelled) == (50, 50)
    assert model.tell("o2", labels(1)[50:]).success
    assert model.shown("outcomes") | {"preview": 0, "path": 0, "dagster/row_count": 0} == {
        **{"rows": 10, "labels": 10, "labelled_rows": 10, "labelled_batches": 1, "changed_batches": 1},
        **{"keys_without_a_row": 0, "preview": 0, "path": 0, "dagster/row_count": 0},
    }
    assert model.record("b1").labelled == 60
    assert model.materialize("performance", batch="b1").success  # on the champion's own rows as they were
    assert model.report("b1").figures["rows"] == 60


def test_outcomes_may_come_before_their_rows(deployment, name):
    model = LateModel.of(deployment, name)
    result = model.tell("o1", labels(1, 2))
    assert result.success
    check = checks(result)["matches_rows"]
    assert (check.passed, check.severity.name) == (False, "WARN")
    assert check.description.startswith(
        "120 labels for 0 rows of 0 batches; 120 keys match no row that was taken in. The rows may come yet"
    )
    model.prepare(b1=unlabelled(1), b2=unlabelled(2))
    assert [model.record(batch).labelled for batch in ("b1", "b2")] == [60, 60]
    again = checks(model.tell("o1", labels(1, 2)))["matches_rows"]
    assert (again.passed, again.description[:41]) == (True, "120 labels for 120 rows of 2 batches; 0 k")


TWICE = pd.concat([labels(1), labels(1)[:1].assign(y=99.0)])
REJECTED = {
    "two labels": (TWICE, {"one_label": "1 keys have several labels: y of {'id': '1000'} is "}),
    "no key": (labels(1).drop(columns="id"), {"columns": "missing: 'id'; the batch has 'y'"}),
    "no target": (labels(1).drop(columns="y"), {"columns": "missing: 'y'; the batch has 'id'"}),
    "empty key": (
        labels(1).assign(id=lambda told: told["id"].where(told["id"] > 1001)),
        {"key_known": "2 rows have no key ['id'] (rows 1, 2, ...): they belong to nothing"},
    ),
    "other labels": (labels(1).assign(y="high"), {"dtypes": "'y': expected number, got text: 'high' (row 1)"}),
    "other keys": (labels(1).assign(id="k"), {"dtypes": "'id': expected number, got text: 'k' (row 1)"}),
    "infinite": (labels(1).assign(y=np.inf), {"finite": "'y': infinite or 1e+150 and beyond"}),
    "no rows": (labels(1)[:0], {"row_count": "0 rows; expected at least 1"}),
}


def test_outcomes_that_are_wrong_are_rejected_with_the_reason_and_hold_up_no_others(model):
    before = model.record("b1").identity
    for place, (what, (told, expected)) in enumerate(REJECTED.items()):
        result = model.tell(f"bad{place}", told, mark="m")
        for check, said in expected.items():
            assert failed(result)[check].startswith(said), what
            assert f"{model.name}: outcomes 'bad{place}' are rejected. " in why(result)
            assert f"{check}: {said}" in why(result)
        record = OutcomesLedger(model.storage, model.name).get(f"bad{place}")
        assert record is not None and (record.status, record.mark) == ("rejected", "m"), what
    assert model.record("b1").identity == before
    (model.told / "gone.csv").touch()
    model.instance.add_dynamic_partitions(outcome_batches(model.name).name, ["gone"])
    assert "is empty (0 bytes)" in failed(model._run("outcomes", partition_key="gone"))["readable"]
    model.prepare(b3=unlabelled(3))
    assert model.tell("good", labels(3)).success
    assert model.record("b3").labelled == 60


def test_keys_of_another_dtype_are_an_error_and_never_a_silent_mismatch(deployment, name):
    """Codes with leading zeros: as text in the rows, read as numbers from the file of labels."""
    landing = deployment.home / "landing" / name
    coded = {"source": Folder(str(landing / "*.csv"), dtypes={"id": "str"})}
    model = LateModel.of(deployment, name, **coded)
    model.prepare(b1=unlabelled(1).assign(id=lambda told: "00" + told["id"].astype(str)))
    told = labels(1).assign(id=lambda told: "00" + told["id"].astype(str))
    said = failed(model.tell("o1", told))["dtypes"]
    assert said.startswith("'id': expected text, got number: 1000 (row 1)")
    assert "declare the column's dtype at the source" in said
    assert model.record("b1").labelled == 0
    mended = LateModel.of(deployment, name, outcomes={"dtypes": {"id": "str"}}, **coded)
    assert mended.tell("o1", told).success
    assert mended.record("b1").labelled == 60


def test_outcomes_of_unlike_keys_that_came_first_are_named_where_labels_are_missing(deployment, name):
    landing = deployment.home / "landing" / name
    model = LateModel.of(deployment, name, source=Folder(str(landing / "*.csv"), dtypes={"id": "str"}))
    assert model.tell("o1", labels(1, 2)).success
    model.prepare(b1=unlabelled(1), b2=unlabelled(2))
    assert model.tell("o2", labels(1, 2).assign(id=lambda told: told["id"].astype(str))).success is False
    assert [model.record(batch).labelled for batch in ("b1", "b2")] == [0, 0]
    said = why(model.challenge())
    assert "b1: waiting: 0% of its rows have labels, 80% are needed" in said


def test_a_run_that_dies_before_labels_are_joined_is_asked_for_again(model, monkeypatch):
    model.prepare(b3=unlabelled(3))

    def dies(*_):
        raise OSError("disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(outcomes_step, "refresh_labels", dies)
        assert not model.tell("o2", labels(3), mark="m2").success
    ledger = OutcomesLedger(model.storage, model.name)
    assert ledger.marks() == {"o1": "", "o2": ""}  # a mark that is not the source's is looked at again
    assert model.tell("o2", labels(3), mark="m2").success
    assert (ledger.marks()["o2"], model.record("b3").labelled) == ("m2", 60)
    assert model.tell("o2", labels(3)).success  # by hand
    assert ledger.marks()["o2"] == "m2"


def test_a_run_that_was_overtaken_does_not_write_over_what_came_after_it(model, monkeypatch):
    ledger = OutcomesLedger(model.storage, model.name)
    newer = OutcomesRecord("o1", "rejected", "another run", mark="newer")
    monkeypatch.setattr(outcomes_step, "refresh_labels", lambda *_: ledger.put(newer) or [])
    assert model.tell("o1", labels(1), mark="older").success
    assert ledger.get("o1") == newer


@pytest.mark.parametrize(
    "classes",
    [("no", "yes"), *(pytest.param(classes, marks=pytest.mark.slow) for classes in ((False, True), (0, 1)))],
    ids=lambda classes: type(classes[0]).__name__,
)
def test_classes_of_any_kind_may_be_missing_in_part(deployment, classes):
    name = f"late_{type(classes[0]).__name__}"
    logistic = {"estimator": "sklearn.linear_model.LogisticRegression", "metrics": ["accuracy"], "target": "bought"}
    model = LateModel.of(deployment, name, **logistic)
    model.prepare(b1=unlabelled(1), b2=unlabelled(2))
    told = pd.concat([rows(number)[["id", "bought"]] for number in (1, 2, 3)])
    told["bought"] = [classes[label] for label in told["bought"]]
    assert model.tell("o1", pd.concat([told[:50], told[60:170]])).success
    assert model.challenge().success and model.champion() == 1
    result = model.take_in(model.land("b3", unlabelled(3)))
    assert "no_decay" not in failed(result)
    scored = model.predictions("b3").merge(told[120:170], on="id")
    accuracy = float((scored["prediction"] == scored["bought"]).mean())
    assert accuracy > 0.6
    assert model.report("b3").figures["accuracy"] == pytest.approx(accuracy)


def told_at(frame: pd.DataFrame, after: str) -> pd.DataFrame:
    return frame.assign(seen=lambda told: told["day"] + pd.Timedelta(after))


@pytest.mark.promise(4)
def test_labels_known_only_after_the_holdout_begins_are_not_trained_on(deployment, name):
    """Batch n is of day n, a row each minute from midnight: of b2, 40 labels come in time, 20 only with b3."""
    model = LateModel.of(deployment, name, known_at="seen")
    model.prepare(b1=unlabelled(1), b2=unlabelled(2), b3=unlabelled(3))
    seen = told_at(rows(2), "1D").assign(seen=lambda told: told["seen"] - pd.Timedelta("39min"))
    late = pd.concat([told_at(rows(1), "1h"), seen, told_at(rows(3), "30D")])[["id", "y", "seen"]]
    assert model.tell("o1", late).success
    assert model.challenge().success
    shown = model.shown("training_set")
    assert (shown["train_rows"], shown["holdout_rows"]) == (100, 60)
    manifest = read_manifest(model.records, shown["version"])
    train = read_train(model.records, manifest)
    known = train.about.merge(late, on="id")["seen"]
    assert (len(known), known.max()) == (100, manifest.holdout[0].start)
    assert train.known_later == 20
    everything = replace(manifest, train=(*manifest.train, *manifest.holdout), holdout=())  # that of a refit
    refit = read_train(model.records, everything)
    assert (len(refit.y), refit.known_later) == (180, 0)


def test_labels_that_come_with_the_rows_are_used_from_when_they_were_known(deployment, name):
    model = deployment.model(name, known_at="seen", drop=["bought"])
    frames = {f"b{number}": told_at(rows(number), "1h") for number in (1, 2, 3)}
    frames["b2"].loc[:14, "seen"] = pd.NaT
    frames["b2"].loc[50:, "seen"] = pd.Timestamp("2024-02-01")
    model.prepare(**frames)
    assert model.challenge().success
    assert model.shown("training_set")["train_rows"] == 60 + 35
    said = checks(model.materialize("training_set"))["enough_rows"].description
    assert said.endswith("25 labels were not known yet when the holdout begins, and are not trained on")


def test_a_label_that_is_known_only_in_the_future_is_none_yet(deployment, name):
    model = deployment.model(name, known_at="seen", drop=["bought"])
    model.prepare(**{f"b{number}": told_at(rows(number), "1h") for number in (1, 2)})
    assert model.challenge().success
    soon = pd.Timestamp.now("UTC").tz_localize(None) + pd.Timedelta("12h")
    result = model.take_in(model.land("b3", rows(3).assign(seen=soon)))
    assert failed(result)["no_decay"] == "insufficient labels: none of 60 rows has one yet"
    report = BatchReports(model.storage, name).all("performance")["b3"]
    assert report.verdict == "insufficient labels"
    assert outstanding(model.record("b3"), model.pipeline.features_version, report, report, report) == ()
    past = replace(report, again_at=(soon - pd.Timedelta("24h")).tz_localize("UTC").isoformat())  # as if it were later
    assert pd.Timestamp(report.again_at) == soon.floor("us").tz_localize("UTC")
    assert outstanding(model.record("b3"), model.pipeline.features_version, past, past, past) == ("performance",)


def test_a_batch_whose_labels_do_not_say_since_when_they_are_known_is_rejected(deployment, name):
    model = deployment.model(name, known_at="seen", drop=["bought"])
    without = model.materialize("dataset", batch=model.land("b1", rows(1)))
    assert failed(without)["known_at"].startswith("there is no column 'seen' (columns: id, day")
    no_time = model.materialize("dataset", batch=model.land("b2", rows(2).assign(seen="last week")))
    assert "holds 'last week' in data row 1, which is not a time" in failed(no_time)["known_at"]
    assert [model.record(batch).status for batch in ("b1", "b2")] == ["rejected", "rejected"]
