"""The models of the code location that a sensor or schedule runs in."""

import dagster as dg

from mlops_assets.assets.shared.keys import MODEL, declared
from mlops_assets.declaration import Declaration


def models_of(context: dg.SensorEvaluationContext) -> list[Declaration]:
    """Return the models whose assets are in the sensor's code location, in order of name."""
    assert context.repository_def is not None  # a sensor of a code location has a repository
    return models_in(context.repository_def)


def models_in(repository: dg.RepositoryDefinition) -> list[Declaration]:
    """Return the models whose assets are in a code location, in order of name."""
    specs = (spec for asset in repository.assets_defs_by_key.values() for spec in asset.specs)
    return [declared(name) for name in sorted({spec.metadata[MODEL] for spec in specs if MODEL in spec.metadata})]
