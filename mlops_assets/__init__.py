"""A plug-in pack for Dagster: declare a model once, get its production loop as assets."""

import os

# What the pack ships sends nothing home; the packages read these when they are first imported.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")

from mlops_assets.declaration import Drift, Gates, Search
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.pipeline import ModelPipeline
from mlops_assets.sources import Folder, Frame, Limits

__all__ = ["Drift", "Folder", "Frame", "Gates", "Limits", "MlopsAssetsError", "ModelPipeline", "Search"]
