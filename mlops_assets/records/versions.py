"""The versions that this pack registered and recorded: tags in MLflow are copies for people."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from mlops_assets.errors import RegistryError
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry

BACK_FROM, SEGMENTS_FROM, SEGMENTS_BACK = "rolled_back_from", "segments_from", "segments_rolled_back"
"""Tags of a version that was put together: a champion, a former one, and the segments (JSON) that have its models."""


@dataclass(frozen=True)
class Registration:
    """A model that an MLflow run fitted: the SHA-256 of its files, and the tags of its version."""

    KIND: ClassVar[str] = "registrations"

    digest: str
    tags: Mapping[str, str]


class OwnVersions:
    """The registered versions of one model; versions and tags of other tools do not count."""

    def __init__(self, records: ModelRecords, registry: MlflowRegistry) -> None:
        self._model, self._registry = records.name, registry
        self._registrations = records.of(Registration)

    def record(self, run_id: str, digest: str, tags: Mapping[str, str]) -> None:
        """Record the digest and tags of a run before its registration: the version is known even after a crash."""
        self._registrations.put(run_id, Registration(digest, dict(tags)))

    def any(self) -> bool:
        """Return whether a version was ever registered; MLflow is not asked."""
        return bool(self._registrations.all())

    def version(self, number: int) -> ModelVersion:
        """Return a version by its number; see `of`."""
        return self.of(self._registry.version(self._model, number))

    def of(self, version: ModelVersion) -> ModelVersion:
        """Return a registered version as recorded; raise `RegistryError` if this pack did not register it."""
        own = self._own(version)
        if own is None:
            raise RegistryError(
                f"{self._model} version {version.version} was not registered by this pack, or its record is gone: name "
                f"a version that {self._model}/challenger made"
            )
        return own

    def find(self, **tags: str) -> ModelVersion | None:
        """Return the newest version that was recorded with all these tags, None if there is none.

        A version that was put together has the tags of its champion, and is found only by its own.
        """
        recorded = ((run_id, dict(registration.tags)) for run_id, registration in self._registrations.all().items())
        runs = (
            run_id
            for run_id, own in recorded
            if tags.items() <= own.items() and (SEGMENTS_FROM in tags or SEGMENTS_FROM not in own)
        )
        registered = (self._registry.version_of_run(self._model, run_id) for run_id in runs)
        own = [own for version in registered if version is not None and (own := self._own(version)) is not None]
        return max(own, key=lambda version: version.version, default=None)

    def _own(self, version: ModelVersion) -> ModelVersion | None:
        recorded = self._registrations.get(version.run_id)
        return None if recorded is None else replace(version, digest=recorded.digest, tags=dict(recorded.tags))
