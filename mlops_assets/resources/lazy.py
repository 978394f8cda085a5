"""Packages that only resources import, each when one of its names is first used; see `mlops_assets.lazy`."""

from typing import TYPE_CHECKING

from mlops_assets.lazy import LazyModule

if TYPE_CHECKING:
    import distributed
    import evidently.presets
    import mlflow.models
    import mlflow.sklearn

__all__ = ["distributed", "evidently", "mlflow"]

if not TYPE_CHECKING:
    distributed = LazyModule("distributed")
    evidently = LazyModule("evidently")
    mlflow = LazyModule("mlflow")
