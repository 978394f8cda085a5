"""MLflow takes connections and never answers: ten ticks go by, and afterwards the batch that failed is completed."""

from socket import create_server

import dagster as dg
import pytest

from mlops_assets.assets.shared.keys import ATTEMPT, batches
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.sensors import registry_probe
from mlops_assets.sensors.new_data import attempts
from mlops_assets.sensors.new_data.sensor import new_data_sensor
from support.deployment import QUIET, why
from support.synthetic import rows


class Loop:
    """The sensor over one model, and the runs it requests, with a registry that can be put in the place of MLflow's."""

    def __init__(self, deployment, model):
        self.deployment, self.model, self.cursor, self.registry = deployment, model, None, deployment.registry
        self.sensor = new_data_sensor()

    def defs(self):
        resources = {**self.deployment.resources, "mlflow_registry": self.registry}
        return dg.Definitions.merge(
            self.model.pipeline.build_defs(), dg.Definitions(resources=resources, sensors=[self.sensor])
        )

    def tick(self):
        context = dg.build_sensor_context(
            instance=self.model.instance,
            cursor=self.cursor,
            repository_def=self.defs().get_repository_def(),
            resources={"mlops_storage": self.model.storage, "mlflow_registry": self.registry},
        )
        result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor
        return {request.partition_key: request for request in result.run_requests}

    def run(self, request):
        self.model.instance.add_dynamic_partitions(batches(self.model.name).name, [request.partition_key])
        return (
            self.defs()
            .resolve_job_def(f"{self.model.name}_batch")
            .execute_in_process(
                instance=self.model.instance,
                partition_key=request.partition_key,
                asset_selection=request.asset_selection,
                tags=request.tags,
                run_config=QUIET,
                raise_on_error=False,
            )
        )


@pytest.fixture
def loop(deployment, name):
    return Loop(deployment, deployment.model(name))


@pytest.mark.promise(4)
@pytest.mark.fault(29)
@pytest.mark.slow
def test_a_batch_that_failed_for_want_of_mlflow_waits_and_is_completed_once_it_answers(loop, monkeypatch):
    monkeypatch.setattr(attempts, "FIRST_DELAY_SECONDS", 0.0)
    monkeypatch.setattr(registry_probe, "PATIENCE", 1)
    model = loop.model
    model.prepare(a=rows(1), b=rows(2))
    model.challenge()
    loop.tick()
    for request in loop.tick().values():
        assert loop.run(request).success
    assert loop.tick() == {}

    with create_server(("127.0.0.1", 0)) as hole:
        address = f"http://127.0.0.1:{hole.getsockname()[1]}"
        loop.registry = MlflowRegistry(tracking_uri=address, timeout_seconds=1, retries=0)
        model.land("c", rows(3))
        loop.tick()
        failed = loop.run(loop.tick()["c"])
        assert f"MLflow at {address} did not give the run of artifact of {model.name}" in why(failed)
        assert (model.record("c").status, model.record("c").features is not None) == ("accepted", True)
        model.land("d", rows(4))
        asked = [list(loop.tick()) for _ in range(10)]
    assert asked == [[]] + 9 * [["d"]]

    loop.registry = loop.deployment.registry
    request = loop.tick()["c"]
    assert request.tags[ATTEMPT] == "2"
    assert [key.path[-1] for key in request.asset_selection] == ["predictions", "drift", "performance"]
    assert loop.run(request).success
    assert len(model.predictions("c")) == 60
    assert list(loop.tick()) == ["d"]
