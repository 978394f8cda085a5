"""`new_data`: one sensor for all models that requests runs for new, changed and incomplete batches."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import dagster as dg

from mlops_assets.assets.batch.outcomes import outcome_batches
from mlops_assets.assets.batch.upstream_source import in_sensor
from mlops_assets.assets.shared.keys import batches
from mlops_assets.declaration import Declaration
from mlops_assets.errors import StorageError
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.each_model import each_model
from mlops_assets.sensors.new_data.cursor import SourceMemory
from mlops_assets.sensors.new_data.requests import MOST_PER_TICK, NewDataTick, request_runs
from mlops_assets.sensors.new_data.vanished import report_vanished
from mlops_assets.sensors.new_data.work_list import batches_on_record, vanished, wanted_batches, wanted_outcomes
from mlops_assets.sensors.one_process import in_one_process
from mlops_assets.sensors.registry_probe import Probe
from mlops_assets.sources import Look, Source
from mlops_assets.sources.reading import look
from mlops_assets.text import counted

MOST_SECONDS = 25.0
"""After this time a tick leaves the other models to the next tick: Dagster ends a tick after 60 seconds."""


def new_data_sensor(
    name: str = "new_data",
    minimum_interval_seconds: int = 30,
    default_status: dg.DefaultSensorStatus = dg.DefaultSensorStatus.RUNNING,
) -> dg.SensorDefinition:
    """Return a sensor that adds partitions and requests runs for batches of every model in its code location.

    It compares each source with the records. A batch is complete once it was rejected, or its current content was
    taken in, scored and judged. At most 10 runs of a model are under way at once. A failed run is repeated after 1, 2,
    4, ... minutes, at most 6 hours. A source that fails is logged and delays no other model.
    """

    @dg.sensor(
        name=name,
        asset_selection=dg.AssetSelection.all(),
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        description="Requests a run for each batch that is new, changed or was left incomplete, of each model.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, mlops_storage: Storage, mlflow_registry: MlflowRegistry
    ) -> dg.SensorResult:
        tick = NewDataTick(context=context, probe=Probe(mlflow_registry))

        def take_in(records: ModelRecords, before: dict[str, Any] | None) -> dict[str, Any]:
            memories = dict(before or {})
            for what, look_at in (("batches", _batches), ("outcomes", _outcomes)):
                try:
                    memories[what] = look_at(records, SourceMemory.from_json(memories.get(what, {})), tick).to_json()
                except StorageError:
                    raise
                except Exception as error:  # a fault of the batches must not stop the outcomes
                    context.log.error(f"{records.name}: {what}: {type(error).__name__}: {error}")
            return memories

        away = (StorageError,)  # each model would wait for it as long
        cursor = each_model(context, mlops_storage, context.cursor, take_in, seconds=MOST_SECONDS, ends_at=away)
        if tick.unanswered:
            waiting = counted(tick.unanswered, "batch waits", "batches wait")
            context.log.warning(f"MLflow does not answer: {waiting}")
        return dg.SensorResult(
            in_one_process(tick.requests, context),
            cursor=cursor,
            dynamic_partitions_requests=tick.additions,
            asset_events=tick.events,
        )

    return sensor


def _batches(records: ModelRecords, memory: SourceMemory, tick: NewDataTick) -> SourceMemory:
    model, recorded = records.model, batches_on_record(records)
    listed = _look(model.source, model, batches(model.name), memory, recorded.marks, tick)
    wanted = wanted_batches(model, listed or Look({}, (), {}), recorded)  # stored batches go on without their source
    memory = request_runs(model, "batch", wanted, memory, tick)
    if listed is None:
        return memory
    events, gone = report_vanished(model, vanished(model, listed, recorded), memory.gone)
    tick.events += events
    return replace(memory.after_look(model.source, listed, recorded.marks), gone=gone)


def _outcomes(records: ModelRecords, memory: SourceMemory, tick: NewDataTick) -> SourceMemory:
    model = records.model
    if model.outcomes is None:
        return SourceMemory()
    marks = records.outcomes.marks()
    listed = _look(model.outcomes, model, outcome_batches(model.name), memory, marks, tick)
    if listed is None:
        return memory
    memory = request_runs(model, "outcomes", wanted_outcomes(listed, marks), memory, tick)
    return memory.after_look(model.outcomes, listed, marks)


def _look(
    source: Source,
    model: Declaration,
    partitions: dg.DynamicPartitionsDefinition,
    memory: SourceMemory,
    marks: Mapping[str, str],
    tick: NewDataTick,
) -> Look | None:
    """Return the look at a source; None if the source cannot be listed. An error is logged."""
    asked = partial(tick.context.instance.get_dynamic_partitions, str(partitions.name))
    try:
        source = in_sensor(source, tick.context)
        listed = look(source, source.recall(memory.known(marks, asked)))
    except Exception as error:  # a source is the user's code: it may raise anything, and must not stop the others
        tick.context.log.error(f"{model.name}: {type(error).__name__}: {error}")
        return None
    for waiting in listed.waiting[:MOST_PER_TICK]:
        tick.context.log.info(f"{model.name}: {waiting.name!r} waits: {waiting.reason}")
    return listed if listed.listed else None
