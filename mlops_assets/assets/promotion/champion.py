"""`champion`: judges the challenger and moves the alias, in one step under a pool of one."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from mlops_assets.assets.promotion.alias_state import Before, before_of
from mlops_assets.assets.promotion.judge import PACK, Judgement, judge
from mlops_assets.assets.promotion.manual_actions import ChampionConfig, asked
from mlops_assets.assets.promotion.promote import carry_out, note_training, refused_by_moment
from mlops_assets.assets.promotion.refit import with_refit
from mlops_assets.assets.promotion.registry_state import REGISTRY_INTACT, registry_state
from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.engine import resource_keys
from mlops_assets.assets.shared.keys import asset_key, check_specs
from mlops_assets.assets.shared.metadata import check_result, image, metadata, table, version_link
from mlops_assets.assets.shared.model_asset import Asset, model_asset
from mlops_assets.assets.shared.sparklines import interval
from mlops_assets.assets.training.step import Step
from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion.alias import Decision
from mlops_assets.decisions.promotion.comparison import Verdict
from mlops_assets.decisions.promotion.guards import Guard
from mlops_assets.declaration import Declaration
from mlops_assets.modelling.plots import model_plots as plots
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.trainings import TrainingRecord
from mlops_assets.resources import MlflowRegistry, Storage
from mlops_assets.resources.mlflow.model_version import ModelVersion

HAS_CHAMPION = "has_champion"
CHECKS = {
    REGISTRY_INTACT: "Alias, version and artifact in the registry are those of the champion that was decided on.",
    HAS_CHAMPION: "A version is in force, so that batches are scored.",
}
_ON_TRAINING = ("decide", "promote", "approve")


def champion_asset(model: Declaration) -> Asset:
    """Return the asset `champion`: the version that the alias names, and why."""
    key = asset_key(model.name, "champion")

    @model_asset(
        model,
        "champion",
        kinds={"mlflow"},
        code_version=model.training_version,
        deps=[asset_key(model.name, "challenger"), asset_key(model.name, "evaluation")],
        description=f"The version of {model.name} in production, by the newest promotion on record, and why. "
        "Decisions on retraining are under Events.",
        check_specs=check_specs(model.name, "champion", CHECKS, blocking=False),
        pool=f"{model.name}_champion",
        output_required=False,
        required_resource_keys=resource_keys(model, "mlops_storage", "mlflow_registry"),
    )
    def champion(
        context: dg.AssetExecutionContext, config: ChampionConfig
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        mlops_storage: Storage = context.resources.mlops_storage
        mlflow_registry: MlflowRegistry = context.resources.mlflow_registry
        step = Step(ModelRecords(model, mlops_storage), mlflow_registry, context)
        before = before_of(step, _had_champion(context, key))
        judged = _decide(step, config, before)
        state = registry_state(step.records, mlflow_registry)
        yield check_result(state.outcome(), key)
        after = step.records.champion
        yield check_result(_has_champion(after, judged.decision), key)
        shown = _metadata(step, judged, before.champion, after)
        reason = judged.decision.reason
        if state.alias is None and before.state == "lost":
            raise dg.Failure(f"{model.name} has no champion: {reason}", allow_retries=False)
        if config.action == "decide" and refused_by_moment(judged):  # a failed run is tried again, a few times
            raise dg.Failure(f"{model.name} version {judged.version.version} was slow: {reason}", allow_retries=False)
        if after is None:  # downstream assets have nothing to build on and are skipped
            context.log_event(dg.AssetMaterialization(key, metadata=shown))
            return
        yield dg.MaterializeResult(data_version=dg.DataVersion(after.digest), metadata=shown)

    return champion


def _decide(step: Step, config: ChampionConfig, before: Before) -> Judgement:
    """Judge the challenger, or do what a person asks for; move the alias, and record what became of the training."""
    if config.action == "decide":
        number = config.version or step.upstream_version("challenger")
        judged = judge(step, number, before, approve=f"{step.model.name}_approve" if step.model.approval else "")
    else:
        judged = asked(step, config, before)
    on_training = config.action in _ON_TRAINING
    if on_training:
        judged = with_refit(step, judged)
    carry_out(step, judged, before)
    if on_training:
        note_training(step, judged, before.champion)
    step.log(f"{judged.decision.verdict}: {judged.decision.reason}")
    return judged


def _had_champion(context: dg.AssetExecutionContext, key: dg.AssetKey) -> bool:
    """Return whether Dagster knows of a champion: with `approval` the step is also on record without one."""
    event = context.instance.get_latest_materialization_event(key)
    return (
        event is not None
        and event.asset_materialization is not None
        and "version" in (event.asset_materialization.metadata)
    )


def _has_champion(champion: ModelVersion | None, decision: Decision) -> CheckOutcome:
    if champion is not None:
        return CheckOutcome(HAS_CHAMPION, True, f"version {champion.version} is in force", blocking=False)
    waits, message = decision.waits, f"no batch is scored: {decision.reason}"
    return CheckOutcome(HAS_CHAMPION, False, message, severity="warn" if waits else "error", blocking=False)


def _metadata(step: Step, judged: Judgement, before: ModelVersion | None, after: ModelVersion | None) -> dict[str, Any]:
    records, registry = step.records, step.registry
    waiting, gates_of_refit = records.requests.waiting(), judged.refit.gates if judged.refit else ()
    link = {} if after is None else {"mlflow_version": version_link(after, registry), "digest": after.digest[:16]}
    return metadata(
        {
            "verdict": judged.decision.verdict,
            "reason": judged.decision.reason,
            "waiting_for_approval": None if waiting is None else waiting.version,
            "version": None if after is None else after.version,
            "judged_version": judged.version.version,
            "refit_of": None if after is None else after.refit_of or None,
            "version_before": None if before is None else before.version,
            "decided_by": judged.by,
            **({} if judged.comparison is None else _evidence(judged.comparison)),
            "guards": [_guard_row(guard) for guard in judged.guards] or None,
            "gates": [_gate_row(gate) for gate in judged.gates] or None,
            "refit": [_gate_row(gate) for gate in gates_of_refit] or None,
            **judged.used.metadata(),
            "history": table(history_rows(registry.versions(records.name), records.trainings.all())),
            **link,
        }
    )


def _gate_row(gate: CheckOutcome) -> dict[str, Any]:
    return {"gate": gate.name, "passed": gate.passed, "result": gate.message}


def _guard_row(guard: Guard) -> dict[str, Any]:
    """Return the row of a guard with the verdict before the figures that lead to it."""
    figures = {"improvement": guard.effect, "p": guard.p_adjusted}
    return {"guard": guard.name, "verdict": guard.verdict, **figures, "note": guard.note}


def _evidence(verdict: Verdict) -> dict[str, Any]:
    """Return the improvement as a number to follow, as a picture in place, as a table, and as a plot behind a link."""
    low, effect, high, evidence = verdict.low, verdict.effect, verdict.high, verdict.to_dict()
    caption = f"{verdict.metric}: {effect:.4g} better ({low:.4g} to {high:.4g}); dashed: no difference"
    compared = len(verdict.differences) > 0
    names = ("effect", "low", "high", "p")
    return {
        "improvement": evidence["effect"],
        "more_rows_to_settle": evidence["more_rows"],
        **(drawn("interval", lambda: interval(low, effect, high, caption)) if compared else {}),
        "comparison": [{"metric": verdict.metric, **{name: evidence[name] for name in names}}],
        **(drawn("comparison_plot", lambda: _comparison_plot(verdict)) if compared else {}),
    }


def _comparison_plot(verdict: Verdict) -> dg.MarkdownMetadataValue:
    return image(plots.comparison(verdict.differences, verdict.low, verdict.high), "improvement over the champion")


def history_rows(versions: Sequence[ModelVersion], trainings: Sequence[TrainingRecord]) -> list[dict[str, Any]]:
    """Return the newest versions with the decision on each; only the ledger knows versions that a gate refused."""
    refused = {training.version: training.reason for training in trainings if training.status == "refused"}
    return [
        {
            "version": version.version,
            "verdict": _verdict(version, version.version in refused),
            "trained until": version.tags.get("trained_until", "")[:10],
            "reason": version.tags.get("reason") or refused.get(version.version, ""),
        }
        for version in versions[:20]
    ]


def _verdict(version: ModelVersion, refused: bool) -> str:
    """Return the verdict on a version, the person who decided, if any, and for a refit the judged version."""
    refit = f"refit of version {version.refit_of}" if version.refit_of else ""
    if "verdict" not in version.tags:
        return "refused" if refused else refit or "not judged"
    by = version.tags.get("decided_by", PACK)
    verdict = version.tags["verdict"] + (f" by {by}" if by != PACK else "")
    return f"{verdict}, {refit}" if refit else verdict
