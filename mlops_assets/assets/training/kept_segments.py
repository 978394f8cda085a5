"""The segments of a fleet that keep the champion's model: chosen in a training, and again by `reproduce`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlops_assets.declaration import Declaration
from mlops_assets.errors import ArtifactError, FeaturesError, TrainingError
from mlops_assets.lazy import sklearn
from mlops_assets.modelling.fleet import fleet_of, keep_champions, row_losses, take_back
from mlops_assets.records.rows import Rows
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry

SEGMENTS_OF = "segments_of"
"""Tag of a version: the number of the champion whose models some of its segments keep."""


def with_kept_segments(
    registry: MlflowRegistry, model: Declaration, champion: ModelVersion, fitted: Any, holdout: Rows
) -> Any:
    """Return a fitted fleet where the segments that do not gain on the holdout keep the champion's model.

    None if the champion cannot be loaded, is not a fleet by the same column, or cannot score the rows.
    """
    y = holdout.y.to_numpy()
    try:
        before = registry.load(champion, model.serialization, model.trusted_types)
        challenger, rival = fleet_of(fitted), fleet_of(before)
        if challenger is None or rival is None or rival.by != challenger.by:
            return None
        losses = [row_losses(one, holdout.X, y, challenger.metric) for one in (before, fitted)]
    except (ArtifactError, FeaturesError):
        return None
    kept = keep_champions(challenger, rival, losses[0] - losses[1], holdout.X)
    return sklearn.pipeline.Pipeline([("fleet", kept)])


def put_together(
    registry: MlflowRegistry, model: Declaration, champion: Any, former: ModelVersion, segments: Sequence[str]
) -> Any:
    """Return a fitted champion where these segments have the models of a former version."""
    before = registry.load(former, model.serialization, model.trusted_types)
    present, past = fleet_of(champion), fleet_of(before)
    if present is None or past is None or present.by != past.by:
        raise TrainingError(
            f"{model.name}: version {former.version} is not a fleet by the champion's column: go back to it as a whole"
        )
    return sklearn.pipeline.Pipeline([("fleet", take_back(present, past, segments))])
