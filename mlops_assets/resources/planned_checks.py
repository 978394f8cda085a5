"""What the code server planned, in the processes that run it.

A run's process loads the code location anew. Where it has other checks than the server that planned the run, Dagster
ends the run before its first step (`DagsterInvalidSubsetError`). So the server notes the names of the checks that it
has from a suite; Dagster keeps the note with the plan of each run and hands it to the process of the run.
"""

import json
from collections.abc import Iterable


def planned_earlier(model: str) -> tuple[str, ...] | None:
    """Names of the checks that the server has from the suite of a model; None in a process that plans by itself."""
    from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType

    context = DefinitionsLoadContext.get()
    if context.load_type != DefinitionsLoadType.RECONSTRUCTION:
        return None
    noted = context.reconstruction_metadata.get(_key(model))
    return None if noted is None else tuple(json.loads(noted))


def plan(model: str, names: Iterable[str]) -> tuple[str, ...]:
    """Note the names of the checks of a model for the processes that will run them, and return them."""
    from dagster._core.definitions.definitions_load_context import DefinitionsLoadContext, DefinitionsLoadType

    planned = tuple(names)
    context = DefinitionsLoadContext.get()
    if context.load_type == DefinitionsLoadType.INITIALIZATION:
        context.add_to_pending_reconstruction_metadata(_key(model), json.dumps(planned))
    return planned


def _key(model: str) -> str:
    return f"mlops_assets/checks/{model}"
