"""The engine that runs a model's independent tasks, from its `workers` and the resource `mlops_compute`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dagster as dg

from mlops_assets.declaration import Declaration
from mlops_assets.modelling.engine import Engine, Here
from mlops_assets.resources.compute import Compute

COMPUTE = "mlops_compute"

AT_ONCE = 8
"""Trials that Optuna proposes at a time where `workers` are declared, whatever their number: it must not matter."""


@dataclass
class Used:
    """The engine that ran, as metadata show it, and why another one took over, if one did."""

    name: str | None = None
    away: list[str] = field(default_factory=list)

    def metadata(self) -> dict[str, str | None]:
        """Return the plain values to show; None for a model without an engine."""
        return {"engine": self.name, "engine_away": "; ".join(self.away) or None}


def workers_of(model: Declaration) -> int | None:
    """Return the declared number of workers; None for a model without an engine."""
    of_search = model.search.workers if model.search else None
    return model.workers if of_search is None else of_search


def resource_keys(model: Declaration, *keys: str) -> set[str]:
    """Return the keys of the resources that a step requires: `mlops_compute` only where `workers` are declared."""
    return {*keys} if workers_of(model) is None else {*keys, COMPUTE}


@contextmanager
def engine_of(model: Declaration, context: dg.AssetExecutionContext, used: Used) -> Iterator[Engine]:
    """Yield the engine of a model; `used` takes its name, and what went wrong with it."""
    workers = workers_of(model)
    if workers is None:
        yield Here()
        return
    compute: Compute = getattr(context.resources, COMPUTE)

    def warn(text: str) -> None:
        used.away.append(text)
        context.log.warning(f"{model.name}: {text}")

    with compute.engine(workers, warn) as engine:
        used.name = engine.name
        yield engine
