"""Where the alias stands when a step begins: the champion in force, and which versions wait for a person."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlops_assets.decisions.promotion.alias import AliasState, alias_state
from mlops_assets.resources.champion_record import champion_in_force, champion_record
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage

WAITING = "waiting"
"""Tag of a version that waits for a person: "approval", or "" where it no longer does."""


@dataclass(frozen=True)
class Standing:
    """The champion in force, what the alias says of it, all versions (newest first), the number of its promotion."""

    in_force: ModelVersion | None
    state: AliasState
    versions: Sequence[ModelVersion]
    recorded: int

    @property
    def hold(self) -> str:
        """By whom and why promotions are held, or "": a hold is the model's, whichever version it was put on."""
        return next((each.tags["hold"] for each in self.versions if each.tags.get("hold")), "")

    @property
    def waiting(self) -> ModelVersion | None:
        """The newest version that waits for approval."""
        return waiting(self.versions)

    @property
    def former(self) -> ModelVersion | None:
        """The champion before the one in force, of those that are left."""
        present = None if self.in_force is None else self.in_force.version
        others = [each for each in self.versions if each.promotion and each.version != present]
        return max(others, key=lambda each: each.promotion, default=None)


def standing_of(model: str, storage: Storage, registry: MlflowRegistry, had_champion: bool) -> Standing:
    """Where the alias stands; a promotion that a crash cut short of its mark is marked, else there is no way back."""
    record = champion_record(storage, model)
    recorded = 0 if record is None else record.as_version(model).promotion
    alias, versions = registry.champion(model), registry.versions(model)
    state = alias_state(alias, versions, had_champion or record is not None, recorded)
    if alias is not None and state == "sound" and alias.intended > alias.promotion:
        registry.tag(model, alias.version, {"promotion": str(alias.intended)})
        versions = registry.versions(model)
    return Standing(champion_in_force(registry, storage, model), state, versions, recorded)


def waiting(versions: Sequence[ModelVersion]) -> ModelVersion | None:
    """The newest version that waits for approval, of versions with the newest first."""
    return next((each for each in versions if each.tags.get(WAITING)), None)
