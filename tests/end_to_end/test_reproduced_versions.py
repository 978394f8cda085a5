"""A version fitted again from what was recorded of it predicts the same; rows that are not as they were are named."""

import json
import shutil

import pandas as pd
import pytest

from mlops_assets import Folder, Search
from support.deployment import Deployment, why
from support.reproduced import FOREST, again, named, stored
from support.synthetic import rows

BOOSTED = "sklearn.ensemble.HistGradientBoostingRegressor"
CLASSIFIER = {
    "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
    "params": {"max_iter": 5, "min_samples_leaf": 5},
    "target": "bought",
    "drop": ["y"],
    "metrics": ["log_loss"],
}
RATE = {"learning_rate": {"low": 0.05, "high": 0.5, "log": True}, "max_leaf_nodes": [4, 8]}
DECLARED = {
    "ridge": {},
    "boosted": {"estimator": BOOSTED, "params": {"max_iter": 5}},
    "classifier": CLASSIFIER,
    "forest": {"estimator": FOREST, "params": {"n_estimators": 5}, "seed": 3},
    "grid": {"search": Search({"alpha": [0.1, 10.0]}, method="grid", folds=2)},
    "random": {"estimator": FOREST, "search": Search({"n_estimators": {"low": 3, "high": 9}}, trials=3, folds=2)},
    "halving": {
        "estimator": BOOSTED,
        "params": {"max_iter": 5},
        "search": Search(RATE, method="halving", trials=4, folds=2),
    },
    "optuna": {
        "estimator": BOOSTED,
        "params": {"max_iter": 5},
        "search": Search(RATE, method="optuna", trials=3, folds=2),
    },
}


@pytest.mark.parametrize(
    "kind", [kind if kind == "boosted" else pytest.param(kind, marks=pytest.mark.slow) for kind in DECLARED]
)
def test_version_of_any_estimator_and_search_is_identical(deployed, kind):
    model = deployed(**DECLARED[kind])
    found = again(model)
    assert (found.verdict, found.differences, found.notes) == ("identical", (), ())
    assert found.reason == "identical on 120 training rows and 60 holdout rows, bit for bit"
    assert {role: (each.rows, each.max_difference) for role, each in found.agreements.items()} == {
        "training rows": (120, 0.0),
        "holdout": (60, 0.0),
    }
    assert found.agreements["holdout"].spread > 0.01
    version = model.registry.versions(model.name)[0]
    logged = model.registry.params(version.run_id)
    assert {name: value for name, value in found.fitted_with.items() if name not in ("estimator", "seed")} == logged


def test_nothing_is_written_registered_or_promoted(deployed):
    model = deployed(features=doubled)
    again(model)  # MLflow's tables, caches
    files = [path for folder in ("storage", "artifacts") for path in (model.home / folder).rglob("*")]
    before = {path: path.read_bytes() for path in [*files, model.home / "mlflow.db"] if path.is_file()}
    runs = model.instance.get_runs_count()
    assert again(model, as_declared=True).verdict == "identical"
    after = [path for folder in ("storage", "artifacts") for path in (model.home / folder).rglob("*")]
    assert sorted(after) == sorted(files)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert model.instance.get_runs_count() == runs


@pytest.mark.slow
def test_parameters_of_the_launchpad_are_fitted_with_again(deployed):
    found = again(deployed(overrides={"alpha": 5.0}))
    assert (found.verdict, found.fitted_with["alpha"]) == ("identical", "5.0")
    assert named(found, "declaration") == ["parameter alpha: 5.0 then, none now (the refit used the recorded value)"]


def test_stored_rows_that_were_changed_are_why(deployed):
    model = deployed()
    path, version = stored(model, "dataset", "b2")
    frame = pd.read_parquet(path)
    frame.loc[3, "y"] += 25.0
    frame.to_parquet(path, index=False)
    found = again(model)
    assert (found.verdict, found.because) == ("differs", ("data",))
    assert found.agreements["holdout"].max_difference > 0.01
    (sentence,) = named(found, "data")
    assert sentence.startswith(f"batch b2: dataset: {version} then, ") and f"{path}: restore it" in sentence
    assert found.reason.startswith("differs because of data: batch b2: dataset: ")


@pytest.mark.slow
def test_stored_features_that_were_changed_are_why(deployed):
    model = deployed()
    path, _ = stored(model, "features", "b1")
    pd.read_parquet(path).eval("x = x * 2").to_parquet(path, index=False)
    found = again(model)
    assert (found.verdict, found.because) == ("differs", ("data",))
    assert [each.what for each in found.differences] == ["batch b1: features"]
    assert found.notes == () and found.anew == {}


@pytest.mark.slow
def test_rows_that_cannot_be_read_are_why_and_nothing_is_fitted(deployed):
    model = deployed()
    path, version = stored(model, "dataset", "b3")
    content = path.read_bytes()
    fewer = pd.read_parquet(path).iloc[:59]
    harms = {
        "gone": path.unlink,
        "unreadable": lambda: path.write_bytes(content[:100]),
        "59 rows in place of 60": lambda: fewer.to_parquet(path, index=False),
    }
    for told, harm in harms.items():
        harm()
        found = again(model)
        assert (found.verdict, found.because, found.agreements) == ("differs", ("data",), {})
        (difference,) = found.differences
        assert (difference.what, difference.then) == ("batch b3: dataset", version)
        assert told in found.reason and str(path) in found.reason


@pytest.mark.slow
def test_training_set_that_was_changed_or_is_gone_is_why(deployed):
    model = deployed()
    version = model.registry.versions(model.name)[0].tags["data_version"]
    path = model.home / "storage" / model.name / "training_set" / f"{version}.json"
    content = path.read_text()
    manifest = json.loads(content)
    path.write_text(json.dumps({**manifest, "train": manifest["train"][:1]}))
    found = again(model)
    assert (found.verdict, found.because) == ("differs", ("data",))
    assert f"{path} was changed: restore it" in found.reason
    path.unlink()
    assert "training set: " + version + " then, gone now" in again(model).reason
    path.write_text(content)
    assert again(model).verdict == "identical"


def test_source_that_holds_other_rows_is_named_and_the_stored_ones_are_fitted(deployed):
    model = deployed()
    model.land("b2", rows(2, noise=5.0))
    (model.landing / "b1.csv").unlink()
    found = again(model)
    assert found.verdict == "identical"
    (difference,) = found.differences
    assert (difference.kind, difference.what) == ("data", "batch b2: source")
    assert difference.then == stored(model, "dataset", "b2")[1] != difference.now
    assert difference.note == "the source holds other rows now; the refit used the stored rows"
    (note,) = found.notes
    assert note.startswith("not compared with the source, which cannot be read: batches 'b1': ")
    assert again(model, check_source=False).differences == ()


def doubled(batch, history):
    return batch[["x"]] * 2


@pytest.mark.slow
def test_labels_that_came_later_are_those_of_then(tmp_path, mlflow_schema):
    shutil.copy(mlflow_schema, tmp_path / "mlflow.db")
    labels = tmp_path / "labels"
    labels.mkdir()
    declared = {"outcomes": Folder(str(labels / "*.csv"))}
    model = Deployment(tmp_path).model("late", **declared)
    for number in (1, 2, 3):
        rows(number)[["id", "y"]].to_csv(labels / f"b{number}.csv", index=False)
        model.instance.add_dynamic_partitions("late_outcomes", [f"b{number}"])
    for number in (1, 2, 3):
        result = model._run("outcomes", partition_key=f"b{number}")
        assert result.success, why(result)
    model.prepare(**{f"b{number}": rows(number).drop(columns="y") for number in (1, 2, 3)})
    result = model.challenge()
    assert model.registry.versions("late"), why(result)
    found = again(model)
    assert (found.verdict, found.differences, found.notes) == ("identical", (), ())
    rows(2, noise=9.0)[["id", "y"]].to_csv(labels / "b2.csv", index=False)
    assert model._run("outcomes", partition_key="b2").success
    assert again(model).verdict == "identical"
    model.home = tmp_path
    path, _ = stored(model, "labels", "b1")
    pd.read_parquet(path).assign(label=1.0).to_parquet(path, index=False)
    found = again(model)
    assert (found.verdict, found.because) == ("differs", ("data",))
    assert "batch b1: labels" in found.reason
