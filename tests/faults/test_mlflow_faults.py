"""MLflow answers with errors, late, or not at all: bounded retries, and one version of each training."""

import math
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_assets.resources.mlflow.registry import MlflowRegistry
from support.daemon import end, listens, wait_until
from support.deployment import DeployedModel, Deployment, failed, why
from support.relay import free_port
from support.servers.faulty_proxy import LOST, Fault, FaultyProxy
from support.synthetic import rows

pytestmark = pytest.mark.slow
RETRIES = 1
WRITES = r"^(POST|PATCH|PUT|DELETE) (?!.*search)"
WRONG = {
    "500": Fault(WRITES, 500),
    "429": Fault(WRITES, 429, {"Retry-After": "3600"}),  # which is not waited for
    "slow": Fault(r"^POST .*(runs|registered-models|model-versions)/(create|alias)$", late=4.0),
    "lost": Fault(WRITES, LOST),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory, mlflow_schema) -> Path:
    home = tmp_path_factory.mktemp("served")
    (home / "mlflow.db").write_bytes(mlflow_schema.read_bytes())
    return home


@pytest.fixture(scope="module")
def proxy(home):
    """Before a real MLflow server."""
    port = free_port()
    where = (
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--artifacts-destination",
        str(home / "kept"),
    )
    with (home / "mlflow.log").open("wb") as log:
        server = subprocess.Popen(
            [
                str(Path(sys.executable).parent / "mlflow"),
                "server",
                *where,
                "--backend-store-uri",
                f"sqlite:///{home / 'mlflow.db'}",
            ],
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    proxy = FaultyProxy(port)
    try:
        wait_until(lambda: listens(port), "MLflow's server listens")
        yield proxy
    finally:
        proxy.stop()
        end(server)


@pytest.fixture(scope="module")
def served(home, proxy) -> Deployment:
    """A deployment that reaches MLflow through the proxy."""
    registry = MlflowRegistry(
        tracking_uri=proxy.url, timeout_seconds=3, retries=RETRIES, model_cache=str(home / "models")
    )
    return Deployment(home, registry=registry)


@pytest.fixture
def model(served, proxy, name) -> DeployedModel:
    """Two batches, and no version yet."""
    made = served.model(name)
    made.prepare(b1=rows(1), b2=rows(2))
    yield made
    proxy.break_with()


def versions_by_data(model: DeployedModel) -> list[int]:
    """How many versions there are of each training set."""
    return list(Counter(version.tags["data_version"] for version in model.registry.versions(model.name)).values())


@pytest.mark.fault(31, 32)
@pytest.mark.parametrize("wrong", WRONG)
def test_the_first_answer_to_each_write_is_wrong_and_one_version_is_made_and_promoted(wrong, model, proxy):
    proxy.break_with(replace(WRONG[wrong], met={}))
    result = model.challenge()
    asked = list(proxy.asked)
    proxy.break_with()
    assert result.success, failed(result)
    assert versions_by_data(model) == [1] and model.champion() == 1
    creates = [request for request in asked if request.endswith("/model-versions/create")]
    assert 1 <= len(creates) <= 1 + RETRIES


@pytest.mark.fault(31)
@pytest.mark.parametrize("wrong", ["429", "slow"])
def test_after_bounded_retries_the_run_says_why_and_the_next_one_makes_the_only_version(wrong, model, proxy):
    create = "/model-versions/create$"
    proxy.break_with(replace(WRONG[wrong], wanted=create, times=math.inf, met={}))
    result = model.challenge()
    asked = proxy.count(create)
    proxy.break_with()
    if wrong != "slow":  # then the server has made the version, and only its answer is lost
        assert f"MLflow at {proxy.url} did not register a version of {model.name}" in why(result)
        assert wrong in why(result) and asked == 1 + RETRIES
        assert (model.registry.versions(model.name), model.champion()) == ([], None)
        result = model.challenge()
    assert result.success and asked <= 1 + RETRIES
    assert versions_by_data(model) == [1] and model.champion() == 1
    assert model.challenge().success
    assert versions_by_data(model) == [1]


@pytest.mark.fault(31)
def test_a_promotion_that_mlflow_refuses_leaves_the_champion_and_is_carried_out_once_by_the_next_run(model, proxy):
    assert model.challenge(alpha=1e4).success and model.champion() == 1
    alias = "registered-models/alias$"
    proxy.break_with(Fault(f"POST .*{alias}", 500, times=math.inf))
    result = model.challenge(alpha=0.1)
    asked = proxy.count(f"POST .*{alias}")
    proxy.break_with()
    assert f"did not make version 2 the champion of {model.name}" in why(result) and "500" in why(result)
    assert asked == 1 + RETRIES and model.champion() == 1
    assert model.materialize("champion", version=2).success
    assert (model.champion(), len(model.registry.versions(model.name))) == (2, 2)


@pytest.mark.fault(29)
def test_a_batch_is_scored_without_a_request_where_the_champion_was_fetched_before(model, proxy):
    assert model.challenge().success
    proxy.break_with(Fault(".*", 500, times=math.inf))
    result = model.take_in(model.land("b3", rows(3)))
    assert result.success, why(result)
    assert proxy.asked == [] and len(model.predictions("b3")) == 60
