"""A plug-in pack for Dagster: declare a model once, get its production loop as assets."""

import os
from typing import TYPE_CHECKING

from mlops_assets.faces import face

if TYPE_CHECKING:
    from mlops_assets.assets.shared.keys import batches as batches
    from mlops_assets.components.deployment import Deployment as Deployment
    from mlops_assets.components.model_pipeline import ModelPipeline as ModelPipeline
    from mlops_assets.declaration import Drift as Drift
    from mlops_assets.declaration import Fleet as Fleet
    from mlops_assets.declaration import Gates as Gates
    from mlops_assets.declaration import Retraining as Retraining
    from mlops_assets.declaration import Search as Search
    from mlops_assets.errors import MlopsAssetsError as MlopsAssetsError
    from mlops_assets.sources import Delta as Delta
    from mlops_assets.sources import Folder as Folder
    from mlops_assets.sources import Frame as Frame
    from mlops_assets.sources import Limits as Limits
    from mlops_assets.sources import Look as Look
    from mlops_assets.sources import Source as Source
    from mlops_assets.sources import Table as Table
    from mlops_assets.sources import UpstreamAsset as UpstreamAsset
    from mlops_assets.sources import Waiting as Waiting

# No package that comes with the pack sends usage data; each reads these variables at its first import.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

_MODULES = {
    "Deployment": "components.deployment",
    "ModelPipeline": "components.model_pipeline",
    **dict.fromkeys(("Drift", "Fleet", "Gates", "Retraining", "Search"), "declaration"),
    **dict.fromkeys(
        ("Delta", "Folder", "Frame", "Limits", "Look", "Source", "Table", "UpstreamAsset", "Waiting"), "sources"
    ),
    "MlopsAssetsError": "errors",
    "batches": "assets.shared.keys",
}
__all__ = sorted(_MODULES)
__getattr__ = face("mlops_assets", _MODULES)  # so that the statistics can be used without Dagster


def __dir__() -> list[str]:
    """Return the public names: Dagster looks for components among what `dir` names."""
    return sorted({*globals(), *__all__})
