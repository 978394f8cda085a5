"""A step of a training: what its functions work with."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import dagster as dg

from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.assets.shared.run_metadata import recorded
from mlops_assets.declaration import Declaration
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.versions import OwnVersions
from mlops_assets.resources.mlflow.registry import MlflowRegistry


@dataclass(frozen=True)
class Step:
    """A step of a model's training: the model's records, the registry, and Dagster's context of the run."""

    records: ModelRecords
    registry: MlflowRegistry
    context: dg.AssetExecutionContext

    @property
    def model(self) -> Declaration:
        """The declaration of the model."""
        return self.records.model

    @cached_property
    def versions(self) -> OwnVersions:
        """The versions that this pack registered."""
        return OwnVersions(self.records, self.registry)

    def upstream_version(self, kind: str) -> Any:
        """Return the metadata `version` of the asset that this run must build on; see `recorded`."""
        return recorded(self.context, asset_key(self.model.name, kind))["version"]

    def log(self, message: str) -> None:
        """Log a message after the name of the model."""
        self.context.log.info(f"{self.model.name}: {message}")
