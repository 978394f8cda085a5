"""Whether the registry still holds the champion on record: alias, version and artifact."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion.alias import alias_state
from mlops_assets.errors import ArtifactError, MisplacedArtifactError, MissingArtifactError
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.promotions import Promotion
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry

REGISTRY_INTACT = "registry_intact"

State = Literal[
    "sound",
    "moved by hand",
    "alias lost",
    "version deleted",
    "artifact changed",
    "artifact missing",
    "artifacts elsewhere",
]
Finding = tuple[State, str]


@dataclass(frozen=True, kw_only=True)
class RegistryState:
    """How the registry compares with the record of the champion, why, and what a person can do about it."""

    model: str
    state: State
    reason: str
    record: Promotion | None
    alias: ModelVersion | None

    @property
    def what_to_do(self) -> str:
        """Return what a person can do, in one sentence; "" if there is nothing to do."""
        recorded = "" if self.record is None else f" with version {self.record.version}"
        job = f"launch the job {self.model}_rollback"
        restore = f"restore the files of the artifact, or {job} to go back to the champion before it"
        return {
            "sound": "",
            "moved by hand": f"{job}{recorded} to put the alias back, or {self.model}/champion with action promote and "
            f"version {self.alias.version if self.alias else ''} to make that one champion",
            "alias lost": f"{job}{recorded} to set the alias again",
            "version deleted": f"{job} to go back to the champion before it, or train anew and promote that version",
            "artifact changed": restore,
            "artifact missing": restore,
            "artifacts elsewhere": "run `mlops-assets rehome` in the project's folder",
        }[self.state]

    @property
    def news(self) -> bool:
        """Return whether there is something to report: for a model that never had a champion there is not."""
        return self.state != "sound" or self.record is not None

    @property
    def digest(self) -> str:
        """Return 16 hex digits that change with the state, the champion on record or what the alias names."""
        record, alias = self.record, self.alias
        recorded = None if record is None else (record.version, record.number)
        named = None if alias is None else (alias.version, alias.digest)
        content = (self.state, "" if self.state == "sound" else self.reason, recorded, named)
        return hashlib.sha256(repr(content).encode()).hexdigest()[:16]

    def outcome(self) -> CheckOutcome:
        """Return the check `registry_intact`."""
        sound, record = self.state == "sound", self.record
        message = self.reason if sound else f"{self.state}: {self.reason}. To do: {self.what_to_do}"
        shown = {
            "state": self.state,
            "alias": "none" if self.alias is None else f"version {self.alias.version}",
            "recorded_champion": None if record is None else record.version,
            "recorded_digest": None if record is None else record.digest[:16],
            "what_to_do": self.what_to_do or None,
        }
        return CheckOutcome(REGISTRY_INTACT, sound, message, blocking=False, metadata=shown)


def artifact_finding(registry: MlflowRegistry, version: ModelVersion) -> Finding:
    """Return whether the stored files of a version are those that were registered; nothing is loaded."""
    try:
        registry.verify(version)
    except MisplacedArtifactError as error:
        return "artifacts elsewhere", str(error)
    except MissingArtifactError as error:
        return "artifact missing", str(error)
    except ArtifactError as error:
        return "artifact changed", str(error)
    return "sound", "its artifact is unchanged"


def registry_state(
    records: ModelRecords,
    registry: MlflowRegistry,
    look: Callable[[MlflowRegistry, ModelVersion], Finding] = artifact_finding,
) -> RegistryState:
    """Compare the registry with the promotions on record; raise `RegistryError` if MLflow does not answer.

    look: examines the champion's artifact. A fault of the artifact takes precedence over a fault of the alias: only the
    former stops scoring.
    """
    model, alias, record = records.name, registry.champion(records.name), records.promotions.champion()
    state, reason = _alias_finding(records, registry, alias, record)
    if record is not None:
        artifact_state, why = look(registry, record.as_version(model))
        if artifact_state != "sound":
            reason = why if state == "sound" else f"{why}; and {state}: {reason}"
            state = artifact_state
        elif state == "sound":
            reason += f"; {why}"
        else:
            reason += f"; batches go on being scored by version {record.version}, by its digest"
    return RegistryState(model=model, state=state, reason=reason, record=record, alias=alias)


def _alias_finding(
    records: ModelRecords, registry: MlflowRegistry, alias: ModelVersion | None, record: Promotion | None
) -> Finding:
    """Return whether the alias names the champion on record, or the version of a promotion under way."""
    state = alias_state(alias, record, records.promotions.under_way())
    if state == "none":
        return "sound", "there is no champion yet"
    if alias is not None and state == "sound":
        if record is not None and record.names(alias):
            return "sound", f"the alias names version {alias.version}, which was decided on"
        return "sound", f"the alias names version {alias.version}, whose promotion is under way"
    if record is None:
        return "moved by hand", f"the alias names version {alias.version if alias else ''}, which was not decided on"
    recorded = f"the champion that was decided on is version {record.version} (sha256 {record.digest[:12]}..)"
    if alias is not None:
        named = f"the alias names version {alias.version} (sha256 {alias.digest[:12]}..)"
        return "moved by hand", f"{named}, but {recorded}"
    if any(map(record.names, registry.versions(records.name))):
        return "alias lost", f"no version has the alias champion; {recorded}"
    return "version deleted", f"{recorded}, and it is no longer in the registry"
