"""`new_data`: one sensor for all models that requests runs for new, changed and incomplete batches."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import dagster as dg

from mlops_assets.assets.batch.outcomes import outcome_batches
from mlops_assets.assets.batch.upstream_source import in_sensor
from mlops_assets.assets.shared.keys import batches
from mlops_assets.declaration import Declaration
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.each_model import each_model
from mlops_assets.sensors.models import models_of
from mlops_assets.sensors.new_data.cursor import Memory, known_of, seen_now
from mlops_assets.sensors.new_data.requests import MOST_PER_TICK, Probe, Tick, request_runs
from mlops_assets.sensors.new_data.vanished import report_vanished
from mlops_assets.sensors.new_data.work_list import batches_on_record, vanished, wanted_batches, wanted_outcomes
from mlops_assets.sensors.one_process import in_one_process
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
        cursor: dict[str, Any] = json.loads(context.cursor or "{}")
        memories: dict[str, Any] = cursor.get("models", {})
        tick = Tick(context, Probe(mlflow_registry))

        def take_in(records: ModelRecords) -> None:
            place = memories.setdefault(records.name, {})
            for what, look_at in (("batches", _batches), ("outcomes", _outcomes)):
                try:
                    place[what] = look_at(records, Memory.from_json(place.get(what, {})), tick).to_json()
                except Exception as error:  # a fault of the batches must not stop the outcomes
                    context.log.error(f"{records.name}: {what}: {type(error).__name__}: {error}")

        following = each_model(context, mlops_storage, cursor.get("next", ""), take_in, seconds=MOST_SECONDS)
        if tick.probe.waiting:
            waiting = counted(tick.probe.waiting, "batch waits", "batches wait")
            context.log.warning(f"MLflow does not answer: {waiting}")
        known = {model.name: memories[model.name] for model in models_of(context) if model.name in memories}
        return dg.SensorResult(
            in_one_process(tick.requests, context),
            cursor=json.dumps({"models": known, **({"next": following} if following else {})}),
            dynamic_partitions_requests=tick.additions,
            asset_events=tick.events,
        )

    return sensor


def _batches(records: ModelRecords, memory: Memory, tick: Tick) -> Memory:
    model, known = records.model, batches_on_record(records)
    found = _look(model.source, model, batches(model.name), memory, known.marks, tick)
    if found is None:  # stored batches go on without their source
        tried, after = request_runs(model, "batch", wanted_batches(model, Look({}, (), {}), known), memory, tick)
        return replace(memory, tried=tried, after=after)
    tried, after = request_runs(model, "batch", wanted_batches(model, found, known), memory, tick)
    events, gone = report_vanished(model, vanished(model, found, known), memory.gone)
    tick.events += events
    return Memory(**seen_now(model.source, found, memory, known.marks, tried), tried=tried, after=after, gone=gone)


def _outcomes(records: ModelRecords, memory: Memory, tick: Tick) -> Memory:
    model = records.model
    if model.outcomes is None:
        return Memory()
    marks = records.outcomes.marks()
    found = _look(model.outcomes, model, outcome_batches(model.name), memory, marks, tick)
    if found is None:
        return memory
    tried, after = request_runs(model, "outcomes", wanted_outcomes(found, marks), memory, tick)
    return Memory(**seen_now(model.outcomes, found, memory, marks, tried), tried=tried, after=after)


def _look(
    source: Source,
    model: Declaration,
    partitions: dg.DynamicPartitionsDefinition,
    memory: Memory,
    marks: Mapping[str, str],
    tick: Tick,
) -> Look | None:
    """Return the look at a source; None if the source cannot be listed. An error is logged."""
    asked = partial(tick.context.instance.get_dynamic_partitions, str(partitions.name))
    try:
        there = in_sensor(source, tick.context)
        found = look(there, there.recall(known_of(memory, marks, memory.tried, asked)))
    except Exception as error:  # a source is the user's code: it may raise anything, and must not stop the others
        tick.context.log.error(f"{model.name}: {type(error).__name__}: {error}")
        return None
    for waiting in found.waiting[:MOST_PER_TICK]:
        tick.context.log.info(f"{model.name}: {waiting.name!r} waits: {waiting.reason}")
    return found if found.listed else None
