"""The loop that all sensors share: one model after another within a time limit; an error of one stops no other."""

import json
import time
from collections.abc import Callable
from typing import Any

import dagster as dg

from mlops_assets.launcher.run_launcher import attend
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.typed import store_of
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.models import models_of


def each_model(
    context: dg.SensorEvaluationContext,
    storage: Storage,
    cursor: str | None,
    act: Callable[[ModelRecords, Any], Any],
    *,
    seconds: float,
    ends_at: tuple[type[Exception], ...] = (),
) -> str:
    """Call `act` with the records and the memory of each model of the code location; return the next tick's cursor.

    `act` returns the memory (plain JSON, None for none) that the next tick passes to it; after an error the earlier
    memory stays. After `seconds` the other models are left for the next tick: Dagster ends a tick after 60. An error
    of one model is logged. An error of `ends_at` concerns all models and ends the tick. Records are read by the
    revisions that they have when the tick begins.
    """
    attend(context.instance)
    before: dict[str, Any] = json.loads(cursor or "{}")
    models = models_of(context)
    memories = {model.name: before.get("models", {}).get(model.name) for model in models}
    first = next((index for index, model in enumerate(models) if model.name == before.get("next")), 0)
    following, started = "", time.monotonic()
    with store_of(storage).at_once():
        order = models[first:] + models[:first]
        for model, next_model in zip(order, [*order[1:], None], strict=True):
            following = "" if next_model is None else next_model.name
            try:
                memories[model.name] = act(ModelRecords(model, storage), memories[model.name])
            except ends_at as error:
                context.log.warning(str(error))
                break
            except Exception as error:  # a broken record, or the user's own code
                context.log.error(f"{model.name}: {type(error).__name__}: {error}")
            if following and time.monotonic() - started > seconds:
                context.log.warning(f"this tick took over {seconds:g} s: the next one goes on with {following}")
                break
    kept = {name: memory for name, memory in memories.items() if memory is not None}
    return json.dumps({"models": kept, "next": following} if following else {"models": kept})
