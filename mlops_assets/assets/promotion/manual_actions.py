"""What a person may ask of the champion: promote, roll back, approve, hold, release. Nothing lifts the gates."""

from dataclasses import replace
from typing import Literal

import dagster as dg
from pydantic import Field

from mlops_assets.assets.promotion.alias_state import Before
from mlops_assets.assets.promotion.judge import Judgement, gates_of, judge, together
from mlops_assets.assets.promotion.promote import carry_out, note_training
from mlops_assets.assets.shared.keys import asset_key
from mlops_assets.assets.shared.run_metadata import recorded
from mlops_assets.assets.training.gates import open_case, sound_gates
from mlops_assets.checks import reasons
from mlops_assets.decisions.promotion.alias import Decision
from mlops_assets.declaration import Declaration
from mlops_assets.errors import MlopsAssetsError, RegistryError
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.requests import Hold
from mlops_assets.records.versions import OwnVersions
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry


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
    records: ModelRecords,
    config: ChampionConfig,
    context: dg.AssetExecutionContext,
    before: Before,
    registry: MlflowRegistry,
) -> Judgement:
    """Return the judgement that a person asked for; raise `MlopsAssetsError` if the action may not be done."""
    model = records.model
    if not config.by.strip() or not config.reason.strip():
        raise MlopsAssetsError(
            f"{model.name}: action {config.action!r} needs `by` (who) and `reason` (why): open the launchpad "
            "(arrow beside Materialize) and fill them in"
        )
    if config.action in ("hold", "release"):
        return _hold(records, config, before)
    if config.action == "rollback":
        return _rollback(records, config, before, registry)
    if config.action == "approve":
        return _approve(records, config, context, before, registry)
    number = config.version or int(recorded(context, asset_key(model.name, "challenger"))["version"])
    version = OwnVersions(records, registry).version(number)
    gates = gates_of(records, version, registry)
    if not together(gates).passed:
        raise MlopsAssetsError(f"{model.name}: version {number} may not be promoted: {together(gates).message}")
    decision = Decision("promote", True, f"by hand: {config.reason}")
    return Judgement(decision, version, gates, by=config.by, how="by hand")


def _hold(records: ModelRecords, config: ChampionConfig, before: Before) -> Judgement:
    if before.champion is None:
        raise RegistryError(f"{records.name} has no champion to {config.action}")
    hold = Hold(config.by, config.reason) if config.action == "hold" else None
    records.requests.put_hold(hold)
    return Judgement(Decision("keep", False, f"{config.action}: {config.reason}"), before.champion, by=config.by)


def _rollback(records: ModelRecords, config: ChampionConfig, before: Before, registry: MlflowRegistry) -> Judgement:
    """Judge the return to a former champion, verified anew; only promotions on record count, not tags in MLflow."""
    version = _former(records, config.version, before, registry)
    gates = tuple(sound_gates(records.model, open_case(records, version, registry)))
    if refused := reasons(gates):
        raise MlopsAssetsError(f"{records.name}: version {version.version} is not rolled back to: {'; '.join(refused)}")
    decision = Decision("promote", True, f"rollback: {config.reason}")
    return Judgement(decision, version, gates, by=config.by, how="rollback")


def _former(records: ModelRecords, number: int, before: Before, registry: MlflowRegistry) -> ModelVersion:
    """Return the version that was champion, or whose refit was; by default the newest before the present champion."""
    model = records.model
    done = [each.as_version(model.name) for each in before.promotions if each.done]
    if not number:
        present = {(each.version, each.digest) for each in registry.versions(model.name)}
        left = [each for each in before.former if (each.version, each.digest) in present]
        if not left:
            raise MlopsAssetsError(
                f"{model.name}: there is no champion before the present one to go back to: "
                "name a version that was champion, or promote one"
            )
        return left[0].as_version(model.name)
    registered = registry.version(model.name, number)
    for each in done:
        if (each.version, each.digest) == (number, registered.digest):
            return each
    if any(each.refit_of == number for each in done):
        return OwnVersions(records, registry).of(registered)
    raise MlopsAssetsError(f"{model.name}: version {number} was never champion, so there is no way back to it")


def _approve(
    records: ModelRecords,
    config: ChampionConfig,
    context: dg.AssetExecutionContext,
    before: Before,
    registry: MlflowRegistry,
) -> Judgement:
    """Judge the waiting version anew: the champion may be another one by now, and artifacts may have changed."""
    found = judge(records, _waiting(records.model, config, before), before, registry)
    version = found.version
    decision = found.decision
    if not decision.moves:
        if decision.verdict != "promote":  # else a hold applies, and the version waits on
            carry_out(found, before, records, registry, context)
            note_training(context, found, before.champion, records)
        raise MlopsAssetsError(f"{records.name}: version {version.version} is not made champion: {decision.reason}")
    reason = f"approved: {config.reason}; {decision.reason}"
    return replace(found, decision=Decision("promote", True, reason), by=config.by, how="approval")


def _waiting(model: Declaration, config: ChampionConfig, before: Before) -> int:
    """Return the number of the version that waits for approval."""
    waiting = before.waiting
    if waiting is None or config.version not in (0, waiting.version):
        which = f"version {config.version} does not wait" if config.version else "no version waits"
        others = f"; version {waiting.version} does" if waiting is not None else ""
        raise MlopsAssetsError(f"{model.name}: {which} for approval{others}")
    return waiting.version
