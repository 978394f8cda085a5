"""What all assets of a model share: keys, partitions, group, owners, code version."""

import dagster as dg

from mlops_assets.assets.shared.this_run import MODEL as MODEL
from mlops_assets.assets.shared.this_run import needs_steps
from mlops_assets.declaration import Declaration
from mlops_assets.text import inert

MARK = "mlops_assets/mark"
"""Run tag: the state of the source (size and time of a file, hash of a frame) that a batch run was asked to read."""

JUDGED_BY = "mlops_assets/judged_by"
"""Run tag: what judges batches, as the sensor that requested the run knew it (`resources/judges.py`)."""

KIND = "mlops_assets/kind"
"""Run tag: what a run does for its model, `batch`, `outcomes` or `training`."""

DATA_VERSION, DECLARATION_VERSION = "mlops_assets/data_version", "mlops_assets/declaration_version"
"""Run tags of a training that a sensor or a schedule requested: what is trained."""

TRIGGER, ATTEMPT = "mlops_assets/trigger", "mlops_assets/attempt"
"""Run tags: what triggered the run, and which attempt it is."""

BATCH_ASSETS = ("dataset", "features", "predictions", "drift", "performance")
TRAINING_ASSETS = ("training_set", "challenger", "evaluation", "champion", "model_card")

FRAMES = ("dataset", "features", "predictions")
"""Assets stored as a frame, which `mlops_batches` passes to a user's own asset as an argument."""

_DECLARED: dict[str, Declaration] = {}


def declare(model: Declaration) -> None:
    """Let sensors of this process find the declaration of a model by its name."""
    _DECLARED[model.name] = model


def declared(name: str) -> Declaration:
    """Return the declaration of a model that was built into definitions in this process."""
    return _DECLARED[name]


def declared_models() -> list[Declaration]:
    """Return all models built into definitions in this process, in order of name."""
    return [_DECLARED[name] for name in sorted(_DECLARED)]


def asset_key(model: str, kind: str) -> dg.AssetKey:
    """Return the key of one asset of a model, such as `bike_demand/champion`."""
    return dg.AssetKey([model, kind])


def batches(model: str) -> dg.DynamicPartitionsDefinition:
    """Return the partitions definition of a model's batches."""
    return dg.DynamicPartitionsDefinition(name=f"{model}_batches")


def check_specs(model: str, kind: str, names: dict[str, str], *, blocking: bool = True) -> list[dg.AssetCheckSpec]:
    """Return the checks of an asset from {name: description}; in a run of another model there are none."""
    if not needs_steps(model):
        return []
    return [
        dg.AssetCheckSpec(name, asset=asset_key(model, kind), description=inert(description), blocking=blocking)
        for name, description in names.items()
    ]
