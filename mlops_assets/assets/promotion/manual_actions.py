"""What a person may ask of the champion: promote, roll back, approve, hold, release. Nothing lifts the gates."""

from dataclasses import replace
from typing import Literal

import dagster as dg
from pydantic import Field

from mlops_assets.assets.promotion.alias_state import Before
from mlops_assets.assets.promotion.judge import Judgement, gates_of, judge, together
from mlops_assets.assets.promotion.promote import carry_out, note_training
from mlops_assets.assets.promotion.segment_rollback import with_segments_of
from mlops_assets.assets.training.gates import open_case, sound_gates
from mlops_assets.assets.training.step import Step
from mlops_assets.checks import reasons
from mlops_assets.decisions.promotion.alias import Decision
from mlops_assets.errors import MlopsAssetsError, RegistryError
from mlops_assets.records.requests import Hold
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.text import listed


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
    segments: list[str] = Field(
        [],
        description="rollback of a fleet: the segments that go back to the former champion's models; all others keep "
        "the present champion's. Without any, the whole fleet goes back.",
    )
    by: str = Field("", description="Who asks for it.")
    reason: str = Field("", description="Why.")


def asked(step: Step, config: ChampionConfig, before: Before) -> Judgement:
    """Return the judgement that a person asked for; raise `MlopsAssetsError` if the action may not be done."""
    model = step.model.name
    if not config.by.strip() or not config.reason.strip():
        raise MlopsAssetsError(
            f"{model}: action {config.action!r} needs `by` (who) and `reason` (why): open the launchpad "
            "(arrow beside Materialize) and fill them in"
        )
    if config.action in ("hold", "release"):
        return _hold(step, config, before)
    if config.segments and config.action != "rollback":
        raise MlopsAssetsError(f"{model}: `segments` can be rolled back, and nothing else: action is {config.action!r}")
    if config.action == "rollback":
        return _rollback(step, config, before)
    if config.action == "approve":
        return _approve(step, config, before)
    number = config.version or int(step.upstream_version("challenger"))
    version = step.versions.version(number)
    gates = gates_of(step, version)
    if not together(gates).passed:
        raise MlopsAssetsError(f"{model}: version {number} may not be promoted: {together(gates).message}")
    decision = Decision("promote", True, f"by hand: {config.reason}")
    return Judgement(decision=decision, version=version, gates=gates, by=config.by, how="by hand")


def _hold(step: Step, config: ChampionConfig, before: Before) -> Judgement:
    if before.champion is None:
        raise RegistryError(f"{step.model.name} has no champion to {config.action}")
    step.records.requests.put_hold(Hold(config.by, config.reason) if config.action == "hold" else None)
    decision = Decision("keep", False, f"{config.action}: {config.reason}")
    return Judgement(decision=decision, version=before.champion, by=config.by)


def _rollback(step: Step, config: ChampionConfig, before: Before) -> Judgement:
    """Judge the return to a former champion, verified anew; only promotions on record count, not tags in MLflow."""
    version = _former(step, config.version, before)
    if config.segments:
        if before.champion is None:
            raise RegistryError(f"{step.model.name} has no champion whose segments could go back")
        version = with_segments_of(step, before.champion, version, config.segments)
    gates = tuple(sound_gates(open_case(step.records, step.registry, version)))
    if refused := reasons(gates):
        raise MlopsAssetsError(
            f"{step.model.name}: version {version.version} is not rolled back to: {'; '.join(refused)}"
        )
    of = f" of segments {listed(config.segments)}" if config.segments else ""
    decision = Decision("promote", True, f"rollback{of}: {config.reason}")
    return Judgement(decision=decision, version=version, gates=gates, by=config.by, how="rollback")


def _former(step: Step, number: int, before: Before) -> ModelVersion:
    """Return the version that was champion, or whose refit was; by default the newest before the present champion."""
    model = step.model.name
    if not number:
        present = step.registry.versions(model)
        left = (promotion for promotion in before.former if any(map(promotion.names, present)))
        if (newest := next(left, None)) is None:
            raise MlopsAssetsError(
                f"{model}: there is no champion before the present one to go back to: "
                "name a version that was champion, or promote one"
            )
        return newest.as_version(model)
    registered = step.registry.version(model, number)
    done = [promotion for promotion in before.promotions if promotion.done]
    if promotion := next((promotion for promotion in done if promotion.names(registered)), None):
        return promotion.as_version(model)
    if any(promotion.as_version(model).refit_of == number for promotion in done):
        return step.versions.of(registered)
    raise MlopsAssetsError(f"{model}: version {number} was never champion, so there is no way back to it")


def _approve(step: Step, config: ChampionConfig, before: Before) -> Judgement:
    """Judge the waiting version anew: the champion may be another one by now, and artifacts may have changed."""
    judged = judge(step, _waiting(step.model.name, config, before), before)
    decision = judged.decision
    if not decision.moves:
        if decision.verdict != "promote":  # else a hold applies, and the version waits on
            carry_out(step, judged, before)
            note_training(step, judged, before.champion)
        version = judged.version.version
        raise MlopsAssetsError(f"{step.model.name}: version {version} is not made champion: {decision.reason}")
    reason = f"approved: {config.reason}; {decision.reason}"
    return replace(judged, decision=Decision("promote", True, reason), by=config.by, how="approval")


def _waiting(model: str, config: ChampionConfig, before: Before) -> int:
    """Return the number of the version that waits for approval."""
    waiting = before.waiting
    if waiting is None or config.version not in (0, waiting.version):
        which = f"version {config.version} does not wait" if config.version else "no version waits"
        others = f"; version {waiting.version} does" if waiting is not None else ""
        raise MlopsAssetsError(f"{model}: {which} for approval{others}")
    return waiting.version
