"""What a person may ask of the champion: promote, roll back, approve, hold, release. Nothing lifts the gates."""

from typing import Literal

import dagster as dg
from pydantic import Field

from mlops_assets.assets.promotion.alias_state import Standing
from mlops_assets.assets.promotion.judge import Judgement, gates_of, judge, together
from mlops_assets.assets.promotion.promote import carry_out, note_training
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.assets.shared.run_metadata import recorded
from mlops_assets.decisions.promotion.alias import Decision
from mlops_assets.declaration import Declaration
from mlops_assets.errors import MlopsAssetsError, RegistryError
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage


class ChampionConfig(dg.Config):
    """What a person may ask for in the launchpad. Anything but `decide` needs a name and a reason."""

    action: Literal["decide", "promote", "rollback", "approve", "hold", "release"] = Field(
        "decide",
        description="decide: compare and judge. promote: make `version` champion whatever the comparison says (its "
        "gates must pass). rollback: back to `version`, a former champion. approve: judge `version`, which waits for "
        "approval, anew and make it champion. hold, release: stop and resume promotions.",
    )
    version: int = Field(
        0,
        description="Version that is meant; 0 is the newest challenger, for rollback the champion before the present "
        "one, for approve the newest version that waits.",
    )
    by: str = Field("", description="Who asks for it.")
    reason: str = Field("", description="Why.")


def asked(
    model: Declaration,
    config: ChampionConfig,
    context: dg.AssetExecutionContext,
    before: Standing,
    storage: Storage,
    registry: MlflowRegistry,
) -> Judgement:
    """What a person asked for, if it may be done."""
    if not config.by.strip() or not config.reason.strip():
        raise MlopsAssetsError(
            f"{model.name}: action {config.action!r} needs `by` (who) and `reason` (why): open the launchpad "
            "(arrow beside Materialize) and fill them in"
        )
    if config.action in ("hold", "release"):
        return _hold(model, config, before, registry)
    if config.action == "rollback":
        return _rollback(model, config, before, registry)
    if config.action == "approve":
        return _approve(model, config, context, before, storage, registry)
    number = config.version or int(recorded(context, asset_key(model.name, "challenger"))["version"])
    version = registry.version(model.name, number)
    gates = gates_of(model, version, storage, registry)
    if not together(gates).passed:
        raise MlopsAssetsError(f"{model.name}: version {number} may not be promoted: {together(gates).message}")
    return Judgement(Decision("promote", True, f"by hand: {config.reason}"), version, gates, by=config.by)


def _hold(model: Declaration, config: ChampionConfig, before: Standing, registry: MlflowRegistry) -> Judgement:
    champion = registry.champion(model.name)
    if champion is None:
        raise RegistryError(f"{model.name} has no champion to {config.action}")
    for each in before.versions:  # a hold is the model's, whichever version it was put on
        if each.tags.get("hold"):
            registry.tag(model.name, each.version, {"hold": ""})
    if config.action == "hold":
        registry.tag(model.name, champion.version, {"hold": f"{config.by}: {config.reason}"})
    return Judgement(Decision("keep", False, f"{config.action}: {config.reason}"), champion, by=config.by)


def _rollback(model: Declaration, config: ChampionConfig, before: Standing, registry: MlflowRegistry) -> Judgement:
    version = registry.version(model.name, config.version) if config.version else before.former
    if version is None:
        raise MlopsAssetsError(
            f"{model.name}: there is no champion before the present one to go back to: "
            "name a version that was champion, or promote one"
        )
    refits = (each.promotion for each in before.versions if each.refit_of == version.version)
    if not version.promotion and not any(refits):
        raise MlopsAssetsError(
            f"{model.name}: version {version.version} was never champion, so there is no way back to it"
        )
    registry.load(version, model.serialization, model.trusted_types)  # refuses a changed or missing artifact
    return Judgement(Decision("promote", True, f"rollback: {config.reason}"), version, by=config.by)


def _approve(
    model: Declaration,
    config: ChampionConfig,
    context: dg.AssetExecutionContext,
    before: Standing,
    storage: Storage,
    registry: MlflowRegistry,
) -> Judgement:
    """The waiting version, judged anew: the champion may be another one by now, and artifacts may have changed."""
    version = _waiting(model, config, before)
    found = judge(model, version.version, before, storage, registry)
    decision = found.decision
    if not decision.moves:
        if decision.verdict != "promote":  # else it is held, and waits on
            carry_out(found, before, storage, registry)
            note_training(context, found, before.in_force, storage)
        raise MlopsAssetsError(f"{model.name}: version {version.version} is not made champion: {decision.reason}")
    reason = f"approved: {config.reason}; {decision.reason}"
    return Judgement(
        Decision("promote", True, reason), found.version, found.gates, found.comparison, found.guards, config.by
    )


def _waiting(model: Declaration, config: ChampionConfig, before: Standing) -> ModelVersion:
    version = before.waiting
    if version is None or config.version not in (0, version.version):
        which = f"version {config.version} does not wait" if config.version else "no version waits"
        others = f"; version {version.version} does" if version is not None else ""
        raise MlopsAssetsError(f"{model.name}: {which} for approval{others}")
    return version
