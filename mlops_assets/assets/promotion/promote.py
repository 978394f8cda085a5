"""From a judgement to the alias: the evidence, the move, and the records after it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg

from mlops_assets.assets.promotion.alias_state import WAITING, Standing
from mlops_assets.assets.promotion.judge import Judgement
from mlops_assets.assets.training.outcome import note_judged, note_refused, verdict_of
from mlops_assets.checks import reasons
from mlops_assets.decisions.promotion.alias import Decision, alias_state
from mlops_assets.resources.champion_record import champion_in_force, champion_record, write_champion_record
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.resources.training_ledger import TrainingLedger


def carry_out(judged: Judgement, before: Standing, storage: Storage, registry: MlflowRegistry) -> None:
    """Do what was decided: tags, alias, its mark, the record, in this order.

    A crash leaves the alias unmoved or fully moved; the next run of the step writes what was to come after it.
    """
    decision, version = judged.decision, judged.version
    if decision.moves or not _serves(before.in_force, version):  # what is said of the champion is not why it became one
        _tag_evidence(judged, before.in_force, registry)
    if decision.moves:
        promoted = judged.promoted.version
        number = 1 + max(before.recorded, *(max(each.promotion, each.intended) for each in before.versions))
        registry.tag(version.model, promoted, {"promotion_intended": str(number)})
        registry.set_champion(version.model, promoted)
        registry.tag(version.model, promoted, {"promotion": str(number)})
    versions = registry.versions(version.model)
    _write_record(version.model, versions, decision.moves, storage, registry)
    champion = champion_in_force(registry, storage, version.model)
    for each in versions:
        if each.tags.get(WAITING) and not _may_wait(each, champion, judged):
            registry.tag(version.model, each.version, {WAITING: ""})


def note_training(
    context: dg.AssetExecutionContext, judged: Judgement, champion: ModelVersion | None, storage: Storage
) -> None:
    """What came of the training, into its ledger; a second judgement leaves when and why it was trained."""
    # The ledger knows the training of a refit by the version that was judged.
    decision, version = judged.decision, judged.version.judged
    ledger = TrainingLedger(storage, version.model)
    known = ledger.get(version.data_version, version.declaration_version)
    status = known.status if known is not None and known.version == version.version else None
    if _serves(champion, judged.version) and not decision.moves:
        if status == "judged":
            return
        # a run died between the alias and the ledger
        decision = Decision("promote", False, judged.version.tags.get("reason", ""))
    refused = decision.verdict == "keep" and bool(reasons(judged.gates))
    if known is not None and status == "judged":
        ledger.put(replace(known, verdict=verdict_of(decision), reason=decision.reason))
    elif refused and status != "refused":
        note_refused(context, storage, version, judged.gates)
    elif not refused:
        note_judged(context, storage, version, decision)


def refused_by_moment(judged: Judgement) -> bool:
    """Whether nothing but a measure of the moment speaks against the version: another attempt measures it again."""
    from mlops_assets.decisions.promotion.gates import only_of_the_moment

    return judged.decision.verdict == "keep" and only_of_the_moment(judged.gates)


def _tag_evidence(judged: Judgement, champion: ModelVersion | None, registry: MlflowRegistry) -> None:
    """The evidence on the version that was judged, and on its refit whether that is taken."""
    version, told = judged.version, _evidence(judged, champion)
    refit = None if judged.refit is None else judged.refit.version
    if refit is not None and judged.refit is not None:
        refused = {"verdict": "keep", "reason": judged.refit.refused} if judged.refit.refused else {}
        registry.tag(version.model, refit.version, {**told, **refused})
    registry.tag(version.model, version.version, told)


def _evidence(judged: Judgement, champion: ModelVersion | None) -> dict[str, str]:
    return {
        "verdict": judged.decision.verdict,
        "reason": judged.decision.reason,
        "decided_by": judged.by,
        "decided_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "compared_with": "" if champion is None else str(champion.version),
        WAITING: "approval" if judged.decision.waits else "",
    }


def _write_record(
    model: str, versions: Sequence[ModelVersion], moved: bool, storage: Storage, registry: MlflowRegistry
) -> None:
    """Record what a sound alias names, where that is not on record: it has just moved, or a crash came between."""
    alias, record = registry.champion(model), champion_record(storage, model)
    if alias is None or (record is not None and record.names(alias) and not moved):
        return
    recorded = 0 if record is None else record.as_version(model).promotion
    if alias_state(alias, versions, True, recorded) == "sound":
        since, by, reason = (alias.tags.get(name, "") for name in ("decided_at", "decided_by", "reason"))
        write_champion_record(storage, alias, since, by, reason)


def _may_wait(version: ModelVersion, champion: ModelVersion | None, judged: Judgement) -> bool:
    """One version at most waits, judged against the present champion."""
    if judged.decision.waits and not _is(judged.version, version):
        return False
    against = version.tags.get("compared_with", "")
    return champion is None or (against == str(champion.version) and not _is(champion, version))


def _serves(champion: ModelVersion | None, version: ModelVersion) -> bool:
    """Whether a version is the champion, itself or as its refit."""
    return champion is not None and (_is(champion, version) or _is(champion.judged, version))


def _is(one: ModelVersion | None, other: ModelVersion) -> bool:
    return one is not None and (one.version, one.digest) == (other.version, other.digest)
