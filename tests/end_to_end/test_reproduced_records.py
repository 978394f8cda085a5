"""What was recorded of a version besides its rows and code, and is not as it was, is named."""

import pytest
from mlflow import MlflowClient
from sklearn.linear_model import Ridge

from mlops_assets import Search
from mlops_assets.errors import TrainingError
from mlops_assets.modelling.agreement import UNEXPLAINED
from support.ledger_rows import put_value, value_of
from support.reproduced import FOREST, again, named, then


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
    assert named(found, "seed") == ["seed: 3 then, 4 now (the refit used the recorded value)"]
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
        "metrics: ['rmse', 'mae'] then, ['mae'] now (the refit used the recorded value)",
        "window: None then, 1 now (the refit used the recorded value)",
        "parameter alpha: 1.0 then, 50.0 now (the refit used the recorded value)",
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
    assert named(found, "seed") == ["seed: 0 then, 9 now (the refit used the recorded value)"]
    assert "cannot tell which field" in found.notes[0]


@pytest.mark.slow
def test_version_that_another_tool_registered_is_refused(deployed):
    model = deployed()
    client = MlflowClient(tracking_uri=model.registry.tracking_uri)
    client.delete_model_version_tag(model.name, "1", "data_version")
    with pytest.raises(TrainingError, match="has no tag 'data_version': it was not registered by a training"):
        again(model)


@pytest.mark.slow
def test_recipe_that_was_changed_or_is_gone_is_refused(deployed):
    model = deployed()
    digest = model.registry.versions(model.name)[0].tags["recipe"]
    recorded = value_of(model.storage, model.name, "recipes", digest)
    recorded["recipe"]["fields"]["seed"] = "7"
    put_value(model.storage, model.name, "recipes", digest, recorded)
    with pytest.raises(TrainingError, match="was changed since it was written: restore the database"):
        again(model)
    put_value(model.storage, model.name, "recipes", digest, None)
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
