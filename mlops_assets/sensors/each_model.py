"""The loop that all sensors share: one model after another within a time limit; an error of one stops no other."""

import time
from collections.abc import Callable

import dagster as dg

from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.typed import store_of
from mlops_assets.resources.storage import Storage
from mlops_assets.sensors.models import models_of


def each_model(
    context: dg.SensorEvaluationContext,
    storage: Storage,
    begin: str,
    act: Callable[[ModelRecords], None],
    *,
    seconds: float,
    ends_at: tuple[type[Exception], ...] = (),
) -> str:
    """Call `act` with the records of each model of the code location; return where the next tick begins.

    begin: the name of the model with which this tick begins, as the previous tick returned it, "" for any. After
    `seconds` the other models are left for the next tick: Dagster ends a tick after 60. An error of one model is
    logged. An error of `ends_at` concerns all models and ends the tick. Records are read by the revisions that they
    have when the tick begins.
    """
    models = models_of(context)
    first = next((index for index, model in enumerate(models) if model.name == begin), 0)
    order = models[first:] + models[:first]
    started = time.monotonic()
    with store_of(storage).at_once():
        for model, following in zip(order, [*order[1:], None], strict=True):
            try:
                act(ModelRecords(model, storage))
            except ends_at as error:
                context.log.warning(str(error))
                return "" if following is None else following.name
            except Exception as error:  # a broken record, or the user's own code
                context.log.error(f"{model.name}: {type(error).__name__}: {error}")
            if following is not None and time.monotonic() - started > seconds:
                context.log.warning(f"this tick took over {seconds:g} s: the next one goes on with {following.name}")
                return following.name
    return ""
