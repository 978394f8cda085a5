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


@dataclass(frozen=True)
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
        known = "" if self.record is None else f" with version {self.record.version}"
        job = f"launch the job {self.model}_rollback"
        return {
            "sound": "",
            "moved by hand": f"{job}{known} to put the alias back, or {self.model}/champion with action promote and "
            f"version {self.alias.version if self.alias else ''} to make that one champion",
            "alias lost": f"{job}{known} to set the alias again",
            "version deleted": f"{job} to go back to the champion before it, or train anew and promote that version",
            "artifact changed": f"restore the files of the artifact, or {job} to go back to the champion before it",
            "artifact missing": f"restore the files of the artifact, or {job} to go back to the champion before it",
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
        named = None if alias is None else (alias.version, alias.digest)
        why = "" if self.state == "sound" else self.reason
        told = (self.state, why, None if record is None else (record.version, record.number), named)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]

    def outcome(self) -> CheckOutcome:
        """Return the check `registry_intact`."""
        message = self.reason if self.state == "sound" else f"{self.state}: {self.reason}. To do: {self.what_to_do}"
        shown = {
            "state": self.state,
            "alias": "none" if self.alias is None else f"version {self.alias.version}",
            "recorded_champion": None if self.record is None else self.record.version,
            "recorded_digest": None if self.record is None else self.record.digest[:16],
            "what_to_do": self.what_to_do or None,
        }
        return CheckOutcome(REGISTRY_INTACT, self.state == "sound", message, blocking=False, metadata=shown)


def registry_state(
    records: ModelRecords,
    registry: MlflowRegistry,
    look: Callable[[MlflowRegistry, ModelVersion], Finding] | None = None,
) -> RegistryState:
    """Compare the registry with the promotions on record; raise `RegistryError` if MLflow does not answer.

    look: examines the champion's artifact, by default `artifact_finding`. A fault of the artifact takes precedence over
    a fault of the alias: only the former stops scoring.
    """
    model, ledger = records.name, records.promotions
    alias, record = registry.champion(model), ledger.champion()
    state, reason = _of_alias(registry, record, ledger.under_way(), alias, model)
    if record is not None:
        champion = record.as_version(model)
        of_artifact, why = (look or artifact_finding)(registry, champion)
        if of_artifact != "sound":
            reason = why if state == "sound" else f"{why}; and {state}: {reason}"
            state = of_artifact
        elif state == "sound":
            reason += f"; {why}"
        else:
            reason += f"; batches go on being scored by version {champion.version}, by its digest"
    return RegistryState(model, state, reason, record, alias)


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


def _of_alias(
    registry: MlflowRegistry,
    record: Promotion | None,
    under_way: Promotion | None,
    alias: ModelVersion | None,
    model: str,
) -> Finding:
    """Return whether the alias names the champion on record, or the version of a promotion under way."""
    state = alias_state(alias, record, under_way)
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
    if any(record.names(each) for each in registry.versions(model)):
        return "alias lost", f"no version has the alias champion; {recorded}"
    return "version deleted", f"{recorded}, and it is no longer in the registry"
