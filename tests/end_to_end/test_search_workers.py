"""A training whose trials run in several processes: the same version as without, each trial in MLflow as it ends."""

import pytest

from mlops_assets import Search
from mlops_assets.decisions.promotion import paired_difference
from mlops_assets.errors import RegistryError
from mlops_assets.resources import Compute
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from support.deployment import why
from support.relay import free_port
from support.synthetic import rows

SPACE = {"alpha": {"low": 0.01, "high": 100.0, "log": True}}


def searched(deployment, name, compute=None, **options):
    """A model with two batches and a search of five trials, on an engine of its own."""
    deployment.resources.pop("mlops_compute", None)
    if compute is not None:
        deployment.resources["mlops_compute"] = compute
    model = deployment.model(name, search=Search(SPACE, trials=5, folds=2, **options))
    model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
    return model


def trials(model):
    """The child runs of the newest version: number, parameter and score."""
    from mlflow import MlflowClient

    client, version = MlflowClient(tracking_uri=model.registry.tracking_uri), model.registry.versions(model.name)[0]
    experiment = client.get_run(version.run_id).info.experiment_id
    runs = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{version.run_id}'")
    return sorted((run.info.run_name, run.data.params["alpha"], run.data.metrics["score"]) for run in runs)


def test_workers_change_no_trial(deployment, name):
    found = []
    for workers in (None, 0, 2):
        model = searched(
            deployment, f"{name}_{workers}".lower(), None if workers is None else Compute(), workers=workers
        )
        result = model.challenge()
        assert result.success, why(result)
        shown = model.shown("challenger")
        tags = model.registry.versions(model.name)[0].tags
        found.append((trials(model), shown["params"], tags["holdout_predictions"]))
        assert len(trials(model)) == len(shown["trials"]) == 5
        assert ("engine" in shown) is (workers is not None) and "engine_away" not in shown
    assert found[0] == found[1] == found[2]


def test_the_number_of_workers_makes_no_other_declaration(deployment, name):
    one, other = (deployment.model(name, search=Search(SPACE, workers=workers)).pipeline for workers in (None, 3))
    assert one.training_version == other.training_version
    assert repr(one.search) == repr(other.search)


def test_a_scheduler_that_is_away_is_named_on_the_asset_or_fails_the_run(deployment, name):
    address = f"tcp://127.0.0.1:{free_port()}"
    model = searched(deployment, name, Compute(scheduler=address, wait_seconds=1, fallback=False), workers=2)
    reason = why(model.challenge())
    assert reason.startswith("mlops_assets.errors.EngineError") and f"the Dask scheduler {address}" in reason
    model = searched(deployment, name, Compute(scheduler=address, wait_seconds=1), workers=2)
    result = model.challenge()
    assert result.success, why(result)
    assert f"the Dask scheduler {address} does not answer" in model.shown("challenger")["engine_away"]
    assert len(trials(model)) == 5


def test_an_outage_of_mlflow_costs_no_trial(deployment, name, monkeypatch):
    calls, log_trials = [], MlflowRegistry.log_trials

    def away_at_the_second(registry, run_id, of_trials):
        calls.append([trial.number for trial in of_trials])
        if len(calls) == 2:
            raise RegistryError("MLflow does not answer")
        log_trials(registry, run_id, of_trials)

    monkeypatch.setattr(MlflowRegistry, "log_trials", away_at_the_second)
    model = searched(deployment, name)
    result = model.challenge()
    assert result.success, why(result)
    assert calls == [[0], [1], [1], [2], [3], [4]]
    assert len(trials(model)) == 5


@pytest.mark.parametrize("workers", [-2, 1.5, "many"])
def test_workers_are_a_number(workers):
    from mlops_assets.errors import DeclarationError

    with pytest.raises(DeclarationError, match="workers"):
        Search(SPACE, workers=workers)


def test_a_long_comparison_runs_on_the_engine_of_the_model(deployment, name, monkeypatch):
    found = []
    for workers in (None, 2):
        deployment.resources["mlops_compute"] = Compute()
        monkeypatch.setattr(paired_difference, "_MANY", 0)
        model = deployment.model(
            f"{name}_{workers}".lower(), workers=workers, metrics=["neg_median_absolute_error"], ablation=False
        )
        model.prepare(b1=rows(1), b2=rows(2), b3=rows(3))
        for alpha in (1_000.0, 1.0):
            assert model.train(alpha=alpha).success
        shown = model.shown("champion")
        assert ("engine" in shown) is (workers is not None) and "engine_away" not in shown
        found.append((shown["reason"], shown["comparison"]))
    assert found[0] == found[1]
