"""A project of one model and assets of its own: ticks of the sensor, and the runs that these ask for."""

from typing import Any

import dagster as dg
import pandas as pd

from mlops_assets import ModelPipeline
from mlops_assets.records.batches import BatchLedger
from mlops_assets.sensors.new_data.sensor import new_data_sensor
from support.deployment import QUIET, Deployment


class Project:
    """One code location on a deployment."""

    def __init__(self, deployment: Deployment, model: ModelPipeline, *assets: Any, **resources: Any) -> None:
        self.model, self.instance, self.storage = model, deployment.instance, deployment.storage
        self.ledger = BatchLedger(self.storage, model.name)
        self.resources = {**deployment.resources, **resources}
        self.cursor: str | None = None
        self.place(*assets)

    def place(self, *assets: Any) -> None:
        """Put these assets into the code location, instead of those that were there."""
        self.sensor = new_data_sensor()
        mine = dg.Definitions(assets=list(assets), resources=self.resources, sensors=[self.sensor])
        self.defs = dg.Definitions.merge(self.model.build_defs(), mine)
        self.repository = self.defs.get_repository_def()

    def tick(self) -> list[dg.RunRequest]:
        """One tick, whose partitions are added as the daemon adds them; the runs it asks for."""
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={name: self.resources[name] for name in ("mlops_storage", "mlflow_registry")},
        )
        result = self.sensor.evaluate_tick(context)
        self.cursor = result.cursor
        for added in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(added.partitions_def_name, added.partition_keys)
        return list(result.run_requests or ())

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """What the daemon launches for a request."""
        return self.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            asset_selection=list(request.asset_selection or ()),
            tags=request.tags,
            run_config=QUIET,
            raise_on_error=False,
        )

    def take_in(self) -> list[str]:
        """One tick and all its runs; their batches."""
        requests = self.tick()
        for request in requests:
            self.run(request)
        return [str(request.partition_key) for request in requests]

    def rows(self, batch: str) -> pd.DataFrame:
        """The rows of a batch as its dataset has them."""
        record = self.ledger.get(batch)
        assert record is not None and record.version is not None, f"{batch}: {record}"
        return self.storage.read_frame(self.model.name, "dataset", batch, record.version)

    def became(self) -> dict[str, str]:
        """What became of each batch."""
        return {batch: record.status for batch, record in self.ledger.records().items()}

    def train(self) -> dg.ExecuteInProcessResult:
        """One run of the training job."""
        job = self.defs.resolve_job_def(f"{self.model.name}_training")
        return job.execute_in_process(instance=self.instance, run_config=QUIET, raise_on_error=False)


def ridge(name: str, source: Any, **declared: Any) -> ModelPipeline:
    """A regression of `y` on rows as `synthetic.rows` gives them."""
    ordinary = {"target": "y", "time": "day", "key": ["id"], "estimator": "sklearn.linear_model.Ridge", "holdout": 1}
    return ModelPipeline(name=name, source=source, **{**ordinary, "metrics": ["rmse"], **declared})
