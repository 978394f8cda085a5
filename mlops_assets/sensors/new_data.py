"""`new_data`: one sensor for all models; looks for new and changed batches and requests a run for each."""

import json
from collections.abc import Iterator
from typing import Any

import dagster as dg

from mlops_assets.assets.keys import BATCH_ASSETS, MARK, asset_key, batches
from mlops_assets.declaration import Declaration
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.resources.batch_ledger import BatchLedger
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.models import models_of
from mlops_assets.sources.batches import Look

MOST_PER_TICK = 10


def new_data_sensor(
    name: str = "new_data",
    minimum_interval_seconds: int = 30,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.RUNNING,
) -> dg.SensorDefinition:
    """A sensor that adds partitions and requests runs for batches of every model in its code location.

    It compares what each source has with what the ledger says was taken in, at most 10 batches of a model a tick. A
    source that fails is logged and holds up no other model.
    """

    @dg.sensor(
        name=name,
        asset_selection=dg.AssetSelection.all(),
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description="Requests a run for each new or changed batch of each model.",
    )
    def sensor(context: dg.SensorEvaluationContext, mlops_storage: Storage) -> dg.SensorResult:
        cursor: dict[str, Any] = json.loads(context.cursor or "{}")
        requests: list[dg.RunRequest] = []
        additions = []
        for model in models_of(context):
            try:
                look = model.source.look(cursor.get(model.name, {}))
            except MlopsAssetsError as error:
                context.log.error(f"{model.name}: {error}")
                continue
            cursor[model.name] = look.seen
            new = dict(list(new_batches(model, look, mlops_storage))[:MOST_PER_TICK])
            if new:
                additions.append(batches(model.name).build_add_request(list(new)))
                requests += [_request(model.name, batch, mark) for batch, mark in new.items()]
            for waiting in look.waiting[:MOST_PER_TICK]:
                context.log.info(f"{model.name}: {waiting.name!r} waits: {waiting.reason}")
        return dg.SensorResult(requests, cursor=json.dumps(cursor), dynamic_partitions_requests=additions)

    return sensor


def new_batches(model: Declaration, look: Look, storage: Storage) -> Iterator[tuple[str, str]]:
    """Batches that are ready and were not taken in as they are now, with their marks, in the source's order."""
    ledger = BatchLedger(storage, model.name)
    for batch, mark in look.ready.items():
        record = ledger.get(batch)
        if record is None or record.mark != mark:
            yield batch, mark


def _request(model: str, batch: str, mark: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"{model}/{batch}/{mark}",
        partition_key=batch,
        asset_selection=[asset_key(model, kind) for kind in BATCH_ASSETS],
        # With the partition's tag there is nothing left for Dagster to resolve, so a batch that it cannot resolve
        # (a partition that this very tick adds, say) does not fail the tick for all others.
        tags={MARK: mark, "dagster/partition": batch},
    )
