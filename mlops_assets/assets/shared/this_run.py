"""What a run's process needs of the models of its code location: the steps of one of them.

Dagster loads the whole code location for each run. Of the models that the run is not about it needs what other
definitions may refer to: assets with keys, partitions and dependencies, and jobs by name. Their steps and checks are
left out: with 500 models they cost several seconds.
"""

from mlops_assets.dagster_private import DefinitionsLoadContext, DefinitionsLoadType, executed_run
from mlops_assets.declaration import Declaration

MODEL = "mlops_assets/model"
"""Definition metadata that names an asset's model, by which sensors find the models of a code location; a run tag."""

JOBS = ("batch", "training", "outcomes", "backtest", "rollback", "approve", "rescore", "exclude", "relearn")
"""The jobs of a model, `<model>_<action>`: each touches one model."""


def needs_steps(model: str) -> bool:
    """Return whether this process may execute steps of a model: not if it executes a run of another model's job."""
    run = executed_run()
    if run is None or (about := run.tags.get(MODEL)) in (None, model):
        return True
    of_model, _, action = run.job_name.rpartition("_")
    if of_model != about or action not in JOBS:
        return True
    context = DefinitionsLoadContext.get()
    return context.load_type == DefinitionsLoadType.RECONSTRUCTION and _key(str(about)) in (
        context.reconstruction_metadata  # of a code location in which no model noted anything there is none
    )


def note_if_not_alone(model: Declaration) -> None:
    """Note, for the processes of runs, that a model reads an asset, which may be one of another model."""
    context = DefinitionsLoadContext.get()
    if context.load_type == DefinitionsLoadType.INITIALIZATION and any(
        source is not None and source.asset_key is not None for source in (model.source, model.outcomes)
    ):
        context.add_to_pending_reconstruction_metadata(_key(model.name), "reads an asset")


def _key(model: str) -> str:
    return f"mlops_assets/not_alone/{model}"
