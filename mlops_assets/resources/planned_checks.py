"""The checks that the code server planned, in the processes that run them.

A run's process loads the code location anew. If its checks differ from the server's at the time of the plan, Dagster
ends the run before its first step (`DagsterInvalidSubsetError`). So the server notes the names of a suite's checks;
Dagster keeps the note with the plan of each run and passes it to the run's process.
"""

import json
from collections.abc import Iterable

from mlops_assets.dagster_private import DefinitionsLoadContext, DefinitionsLoadType


def planned_earlier(model: str) -> tuple[str, ...] | None:
    """Return the server's names of the checks from a model's suite; None in a process that plans by itself."""
    context = DefinitionsLoadContext.get()
    if context.load_type != DefinitionsLoadType.RECONSTRUCTION:
        return None
    note = context.reconstruction_metadata.get(_key(model))
    return None if note is None else tuple(json.loads(note))


def plan(model: str, names: Iterable[str]) -> tuple[str, ...]:
    """Note and return the names of a model's checks, for the processes that run them."""
    planned = tuple(names)
    context = DefinitionsLoadContext.get()
    if context.load_type == DefinitionsLoadType.INITIALIZATION:
        context.add_to_pending_reconstruction_metadata(_key(model), json.dumps(planned))
    return planned


def _key(model: str) -> str:
    return f"mlops_assets/checks/{model}"
