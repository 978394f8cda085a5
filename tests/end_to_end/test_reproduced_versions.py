"""A version fitted again from what was recorded of it predicts the same, and what is not as it was is named."""

import importlib
import json
import shutil
import sys

import pandas as pd
import pytest
from deployment import Deployment, failed, why
from mlflow import MlflowClient
from sklearn.linear_model import Ridge
from synthetic import rows

from mlops_assets import Folder, Search
from mlops_assets.assets.reproducing import reproduce
from mlops_assets.errors import TrainingError
from mlops_assets.modelling.recipe import digest_of
from mlops_assets.modelling.reproduction import UNEXPLAINED

BOOSTED = "sklearn.ensemble.HistGradientBoostingRegressor"
FOREST = "sklearn.ensemble.RandomForestRegressor"
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


def trained(deployment, name, overrides=None, batches=3, **declared):
    """A model with a registered version of three batches, the newest of which is the holdout."""
    model = deployment.model(name, **declared)
    model.prepare(**{f"b{number}": rows(number) for number in range(1, batches + 1)})
    result = model.challenge(**(overrides or {}))
    assert model.registry.versions(name), why(result) or failed(result)
    return model


def again(model, **options):
    version = model.registry.versions(model.name)[0]
    return reproduce(model.pipeline, version, model.storage, model.registry, **options)


def stored(model, kind, batch):
    """The path of a stored frame as the newest version's manifest names it."""
    version = model.registry.versions(model.name)[0]
    manifest = model.storage.read_json(model.name, "training_set", version.tags["data_version"])
    named = {each["key"]: each["version"].split("-") for role in ("train", "holdout") for each in manifest[role]}
    part = {"dataset": 0, "features": 1, "labels": 2}[kind]
    return model.home / "storage" / model.name / kind / batch / f"{named[batch][part]}.parquet", named[batch][part]


def then(model, **changed):
    """Let the recipe of the newest version tell of another past."""
    version = model.registry.versions(model.name)[0]
    recipe = model.storage.read_json(model.name, "recipes", version.tags["recipe"])
    for name, values in changed.items():
        recipe[name] = {**recipe[name], **values}
    model.storage.write_json(model.name, "recipes", digest_of(recipe), value=recipe)
    model.registry.tag(model.name, version.version, {"recipe": digest_of(recipe)})


def named(found, kind):
    return [each.sentence for each in found.differences if each.kind == kind]


@pytest.fixture
def deployed(deployment, name):
    """Makes models with a version, and remembers where their files are."""

    def made(overrides=None, batches=3, **declared):
        model = trained(deployment, name, overrides, batches, **declared)
        model.home = deployment.home
        return model

    return made


@pytest.mark.parametrize(
    "kind", [kind if kind in ("boosted", "grid") else pytest.param(kind, marks=pytest.mark.slow) for kind in DECLARED]
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
    assert named(found, "declaration") == ["parameter alpha: 5.0 then, none now (the refit went by that of then)"]


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
    assert difference.note == "the source holds other rows now; the refit used those that were stored then"
    (note,) = found.notes
    assert note.startswith("not compared with the source, which cannot be read: batches 'b1': ")
    assert again(model, check_source=False).differences == ()


def doubled(batch, history):
    return batch[["x"]] * 2


FEATURES = """
FACTOR = 2.0

def scaled(x):
    return x * FACTOR

def made(batch, history):
    return batch[["x", "z"]].assign(more=(scaled(batch["x"]) + 1) ** 2)
"""


@pytest.fixture
def module(tmp_path, monkeypatch, name):
    """Writes a module of features anew and imports it."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def written(text):
        import linecache

        (tmp_path / f"of_{name}.py").write_text(text)
        sys.modules.pop(f"of_{name}", None)
        linecache.clearcache()
        importlib.invalidate_caches()
        return importlib.import_module(f"of_{name}")

    return written


@pytest.mark.parametrize(
    ("before", "after", "part"),
    [("** 2", "** 3", "made"), ("x * FACTOR", "x * FACTOR + 1", "scaled"), ("FACTOR = 2.0", "FACTOR = 3.0", "FACTOR")],
)
def test_features_function_that_changed_is_why(deployment, deployed, name, module, before, after, part):
    declared = {"estimator": "sklearn.svm.SVR"}
    deployed(features=module(FEATURES).made, **declared)
    changed = deployment.model(name, features=module(FEATURES.replace(before, after)).made, **declared)
    found = again(changed)
    assert (found.verdict, found.because) == ("differs", ("code",))
    assert f"features: of_{name}.{part} (changed since)" in named(found, "code")
    assert found.agreements["holdout"].identical and not found.anew["holdout"].identical
    assert "features computed anew of batches 'b1', 'b2', 'b3' (other values in 'more')" in named(found, "code")
    assert f"of_{name}.{part} (changed since)" in found.reason


@pytest.mark.slow
def test_features_function_that_changed_to_no_effect_is_listed(deployment, deployed, name, module):
    deployed(features=module(FEATURES).made)
    found = again(deployment.model(name, features=module(FEATURES.replace("x * FACTOR", "FACTOR * x")).made))
    assert (found.verdict, found.because, found.anew) == ("identical", (), {})
    assert named(found, "code") == [f"features: of_{name}.scaled (changed since)"]


@pytest.mark.slow
def test_features_function_that_fails_now_is_why(deployment, deployed, name, module):
    deployed(features=module(FEATURES).made)
    found = again(deployment.model(name, features=module(FEATURES.replace('"z"', '"gone"')).made))
    assert (found.verdict, found.because) == ("differs", ("code",))
    assert "raised KeyError" in found.reason


@pytest.mark.slow
def test_features_that_use_something_outside_their_module_are_told(deployment, deployed, name, module, tmp_path):
    text = "import json\n\n\ndef made(batch, history):\n    return batch[['x', 'z']] ** json.loads(open(PATH).read())\n"
    text = text.replace("PATH", repr(str(tmp_path / "power.json")))
    (tmp_path / "power.json").write_text("1")
    model = deployed(features=module(text).made)
    (tmp_path / "power.json").write_text("2")
    found = again(model)
    assert (found.verdict, found.because) == ("differs", ("code",))
    assert "something changed that it uses and that is not in its module" in found.reason


@pytest.mark.slow
def test_history_is_that_of_the_batches_of_then(deployment, deployed, name, module):
    text = """
def made(batch, history):
    return batch[["x"]].assign(before=history["y"].mean() if len(history) else 0.0)
"""
    model = deployed(features=module(text).made, lookback="2D")
    assert again(model).verdict == "identical"
    assert model.materialize("dataset", batch=model.land("b2", rows(2, noise=9.0))).success
    found = again(model)
    assert found.verdict == "identical"
    assert [each.what for each in found.differences] == ["batch b2: source"] or found.differences == ()


def test_package_of_then_is_told_and_is_why_only_where_predictions_differ(deployed, monkeypatch):
    model = deployed()
    then(model, packages={"scikit-learn": "1.6.0", "dagster": "1.13.0"})
    found = again(model)
    assert (found.verdict, found.because) == ("identical", ())
    assert [sentence.split(" now")[0] for sentence in named(found, "package")] == [
        f"scikit-learn: 1.6.0 then, {_installed('scikit-learn')}",
        f"dagster: 1.13.0 then, {_installed('dagster')}",
    ]
    monkeypatch.setattr(Ridge, "fit", _moved_by(1e-9))
    assert again(model).verdict == "within tolerance"
    monkeypatch.setattr(Ridge, "fit", _moved_by(1e-3))
    found = again(model)
    assert (found.verdict, found.because) == ("differs", ("package",))
    assert found.reason == (f"differs because of package: scikit-learn: 1.6.0 then, {_installed('scikit-learn')} now")


@pytest.mark.slow
def test_what_nothing_recorded_explains_is_said_to_be_so(deployed, monkeypatch):
    model = deployed()
    monkeypatch.setattr(Ridge, "fit", _moved_by(1e-3))
    found = again(model)
    assert (found.verdict, found.because, found.reason) == ("differs", (), f"differs: {UNEXPLAINED}")


def _installed(package):
    from importlib.metadata import version

    return version(package)


def _moved_by(size, fit=Ridge.fit):
    def fitted(self, X, y, sample_weight=None):
        made = fit(self, X, y, sample_weight)
        made.coef_ = made.coef_ * (1 + size)
        return made

    return fitted


def test_seed_of_then_is_fitted_with_unless_that_of_now_is_asked_for(deployment, deployed, name):
    forest = {"estimator": FOREST, "params": {"n_estimators": 5}}
    deployed(**forest, seed=3)
    model = deployment.model(name, **forest, seed=4)
    found = again(model)
    assert (found.verdict, found.fitted_with["seed"]) == ("identical", "3")
    assert named(found, "seed") == ["seed: 3 then, 4 now (the refit went by that of then)"]
    found = again(model, as_declared=True)
    assert (found.verdict, found.because, found.fitted_with["seed"]) == ("differs", ("seed",), "4")
    assert found.reason == "differs because of seed: seed: 3 then, 4 now"


@pytest.mark.slow
def test_declaration_of_then_is_fitted_with_unless_that_of_now_is_asked_for(deployment, deployed, name):
    deployed(params={"alpha": 1.0})
    model = deployment.model(name, params={"alpha": 50.0}, window=1, metrics=["mae"])
    found = again(model)
    assert (found.verdict, found.fitted_with["alpha"]) == ("identical", "1.0")
    assert named(found, "declaration") == [
        "metrics: ['rmse', 'mae'] then, ['mae'] now (the refit went by that of then)",
        "window: None then, 1 now (the refit went by that of then)",
        "parameter alpha: 1.0 then, 50.0 now (the refit went by that of then)",
    ]
    found = again(model, as_declared=True)
    assert (found.verdict, found.because) == ("differs", ("declaration",))
    assert found.reason == "differs because of declaration: parameter alpha: 1.0 then, 50.0 now"


@pytest.mark.slow
def test_estimator_of_then_is_fitted_where_it_is_one_of_scikit_learn(deployment, deployed, name):
    deployed(params={"alpha": 2.0})
    model = deployment.model(name, estimator=FOREST)
    found = again(model)
    assert (found.verdict, found.fitted_with["estimator"]) == ("identical", "sklearn.linear_model.Ridge")
    assert again(model, as_declared=True).because == ("declaration",)
    then(model, fields={"estimator": "'os.system'"}, given={"command": "'true'"})
    found = again(model)
    assert (found.verdict, found.because) == ("differs", ("declaration",))
    assert "the estimator was 'os.system' and is 'sklearn.ensemble" in found.notes[0]


ESTIMATOR = """
from sklearn.linear_model import Ridge

def ridge(alpha):
    return Ridge(alpha=alpha)
"""


@pytest.mark.slow
def test_estimator_of_ones_own_that_changed_is_why(deployment, deployed, name, module):
    declared = {"params": {"alpha": 1.0}}
    deployed(estimator=module(ESTIMATOR).ridge, **declared)
    found = again(deployment.model(name, estimator=module(ESTIMATOR).ridge, **declared))
    assert found.verdict == "identical" and found.differences == ()
    changed = module(ESTIMATOR.replace("alpha=alpha", "alpha=alpha * 100")).ridge
    found = again(deployment.model(name, estimator=changed, **declared))
    assert (found.verdict, found.because) == ("differs", ("code",))
    assert found.reason == f"differs because of code: estimator: of_{name}.ridge (changed since)"


@pytest.mark.slow
def test_version_of_before_the_recipe_is_reproduced_as_far_as_its_tags_tell(deployment, deployed, name):
    search = Search({"alpha": [0.5, 7.5]}, method="grid", folds=2)
    model = deployed(search=search, params={"solver": "lsqr"})
    client = MlflowClient(tracking_uri=model.registry.tracking_uri)
    client.delete_model_version_tag(name, "1", "recipe")
    found = again(model)
    assert found.verdict == "identical" and found.differences == ()
    (note,) = found.notes
    assert note.startswith("version 1 was registered before the declaration and the code were recorded")
    assert "nothing of it changed" in note
    assert found.fitted_with["solver"] == "lsqr"
    found = again(deployment.model(name, search=search, params={"solver": "lsqr"}, seed=9, window=1))
    assert found.verdict == "identical"
    assert named(found, "seed") == ["seed: 0 then, 9 now (the refit went by that of then)"]
    assert "cannot tell which field" in found.notes[0]


@pytest.mark.slow
def test_version_that_another_tool_registered_is_refused(deployed):
    model = deployed()
    client = MlflowClient(tracking_uri=model.registry.tracking_uri)
    client.delete_model_version_tag(model.name, "1", "data_version")
    with pytest.raises(TrainingError, match="does not say what it was trained on"):
        again(model)


@pytest.mark.slow
def test_recipe_that_was_changed_or_is_gone_is_refused(deployed):
    model = deployed()
    digest = model.registry.versions(model.name)[0].tags["recipe"]
    path = model.home / "storage" / model.name / "recipes" / f"{digest}.json"
    path.write_text(path.read_text().replace('"seed": "0"', '"seed": "7"'))
    with pytest.raises(TrainingError, match="was changed since it was written: restore the file"):
        again(model)
    path.unlink()
    with pytest.raises(TrainingError, match="is gone, so it is not known what to fit"):
        again(model)


@pytest.mark.slow
def test_artifact_that_was_changed_is_why_and_the_refit_is_held_against_what_was_said_then(deployed):
    model = deployed()
    folder = model.registry.local_model(model.registry.versions(model.name)[0])
    (folder / "conda.yaml").write_text("name: another\n")
    found = again(model)
    assert (found.verdict, found.because, found.agreements) == ("differs", ("artifact",), {})
    assert "has changed since it was registered: expected sha256" in found.reason
    assert found.notes == ("the refit predicts on the holdout, bit for bit, what the version did when it was fitted",)


@pytest.mark.slow
def test_machine_of_then_is_told(deployed):
    model = deployed()
    then(model, machine={"threads": "64", "BLAS": "mkl 2024.1 Haswell"})
    found = again(model)
    assert found.verdict == "identical"
    sentences = named(found, "machine")
    assert any(sentence.startswith("threads: 64 then, ") for sentence in sentences)
    assert any(sentence.startswith("BLAS: mkl 2024.1 Haswell then, ") for sentence in sentences)


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
