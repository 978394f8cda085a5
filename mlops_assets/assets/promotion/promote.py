"""From a judgement to the alias: the evidence, the promotion on record, the move, and what follows it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from mlops_assets.assets.promotion.alias_state import Before, may_not_promote
from mlops_assets.assets.promotion.judge import Judgement
from mlops_assets.assets.training.outcome import note_judged, note_refused, verdict_of
from mlops_assets.assets.training.step import Step
from mlops_assets.checks import reasons
from mlops_assets.decisions.promotion.alias import Decision
from mlops_assets.decisions.promotion.gates import only_of_the_moment
from mlops_assets.errors import SupersededError
from mlops_assets.records.promotions import evidence_digest
from mlops_assets.records.requests import WaitingVersion
from mlops_assets.resources.mlflow.model_version import ModelVersion


def carry_out(step: Step, judged: Judgement, before: Before) -> None:
    """Carry out a decision: evidence, the promotion as intended, alias, the promotion as done, in this order.

    A crash leaves the alias unmoved or fully moved; the next run of the step ends the promotion accordingly.
    """
    moves = judged.decision.moves
    if moves or not _serves(before.champion, judged.version):  # a verdict on the champion is not why it became one
        _tag_evidence(step, judged, before.champion)
    if moves:
        _promote(step, judged, before)
    _record_waiting(step, judged, before)


def note_training(step: Step, judged: Judgement, champion: ModelVersion | None) -> None:
    """Record what became of the training; a second judgement does not change when and why it was trained."""
    # The ledger has the training of a refit under the judged version.
    trainings, decision, version = step.records.trainings, judged.decision, judged.version.judged
    known = trainings.get(version.data_version, version.declaration_version)
    status = known.status if known is not None and known.version == version.version else None
    if _serves(champion, judged.version) and not decision.moves:
        if status == "judged":
            return
        # a run died between the alias and the ledger
        promotion = step.records.promotions.champion()
        decision = Decision("promote", False, "" if promotion is None else promotion.reason)
    refused = decision.verdict == "keep" and bool(reasons(judged.gates))
    if known is not None and status == "judged":
        trainings.put(replace(known, verdict=verdict_of(decision), reason=decision.reason))
    elif refused and status != "refused":
        note_refused(step, version, judged.gates)
    elif not refused:
        note_judged(step, version, decision)


def refused_by_moment(judged: Judgement) -> bool:
    """Return whether only a measure of the moment speaks against the version: another attempt measures it again."""
    return judged.decision.verdict == "keep" and only_of_the_moment(judged.gates)


def _promote(step: Step, judged: Judgement, before: Before) -> None:
    """Move the alias under a promotion that no other run can have begun or can end unseen."""
    version, champion, run_id = judged.promoted, before.champion, step.context.run.run_id
    ledger, registry = step.records.promotions, step.registry
    number = ledger.intend(
        version,
        judged_against=before.last_number,
        how=judged.how,
        by=judged.by,
        reason=judged.decision.reason,
        dagster_run_id=run_id,
        evidence=evidence_digest(_evidence(judged)),
        compared_with=None if champion is None else champion.version,
        run_is_over=partial(may_not_promote, step.context.instance, run_id),
    ).number
    ledger.check_open(number)
    registry.set_champion(version.model, version.version)
    try:
        ledger.finish(number)
    except SupersededError:  # this process stalled in between: the alias differs from the record
        if (champion := step.records.champion) is not None:
            registry.set_champion(version.model, champion.version)
        raise
    registry.tag(version.model, version.version, {"promotion": str(number)})


def _record_waiting(step: Step, judged: Judgement, before: Before) -> None:
    """Record which version waits for approval: at most one, judged against the present champion."""
    version, requests = judged.version, step.records.requests
    if judged.decision.waits:
        against = None if before.champion is None else before.champion.version
        requests.put_waiting(WaitingVersion(version.version, version.digest, against))
        return
    waiting, champion = requests.waiting(), step.records.champion
    if waiting is None:
        return
    decided = waiting.names(version) and judged.decision.verdict != "promote"
    overtaken = champion is not None and (waiting.against != champion.version or waiting.names(champion))
    if decided or overtaken:
        requests.put_waiting(None)


def _tag_evidence(step: Step, judged: Judgement, champion: ModelVersion | None) -> None:
    """Copy the evidence to MLflow for people: to the judged version, and to its refit with whether that is taken."""
    version, refit, tags = judged.version, judged.refit, _tags(judged, champion)
    if refit is not None and refit.version is not None:
        refused = {"verdict": "keep", "reason": refit.refused} if refit.refused else {}
        step.registry.tag(version.model, refit.version.version, {**tags, **refused})
    step.registry.tag(version.model, version.version, tags)


def _tags(judged: Judgement, champion: ModelVersion | None) -> dict[str, str]:
    return {
        "verdict": judged.decision.verdict,
        "reason": judged.decision.reason,
        "decided_by": judged.by,
        "decided_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "compared_with": "" if champion is None else str(champion.version),
        "waiting": "approval" if judged.decision.waits else "",
    }


def _evidence(judged: Judgement) -> Mapping[str, Any]:
    """Return what the decision was made from, as plain JSON."""
    comparison = judged.comparison
    return {
        "verdict": judged.decision.verdict,
        "reason": judged.decision.reason,
        "version": (judged.version.version, judged.version.digest),
        "gates": [(gate.name, gate.passed, gate.message) for gate in judged.gates],
        "comparison": None if comparison is None else comparison.to_dict(),
        "guards": [(guard.name, guard.verdict, guard.effect, guard.p_adjusted) for guard in judged.guards],
    }


def _serves(champion: ModelVersion | None, version: ModelVersion) -> bool:
    """Return whether a version is the champion, itself or as its refit."""
    return champion is not None and (_is(champion, version) or _is(champion.judged, version))


def _is(one: ModelVersion, other: ModelVersion) -> bool:
    return (one.version, one.digest) == (other.version, other.digest)
