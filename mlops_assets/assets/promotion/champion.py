"""`champion`: judges the challenger and moves the alias, in one step under a pool of one."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from mlops_assets.assets.promotion.alias_state import before_of
from mlops_assets.assets.promotion.judge import PACK, Judgement, judge
from mlops_assets.assets.promotion.manual_actions import ChampionConfig, asked
from mlops_assets.assets.promotion.promote import carry_out, note_training, refused_by_moment
from mlops_assets.assets.promotion.refit import with_refit
from mlops_assets.assets.promotion.registry_state import REGISTRY_INTACT, registry_state
from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.keys import asset_key, check_specs, model_asset
from mlops_assets.assets.shared.metadata import check_result, image, link, metadata, table
from mlops_assets.assets.shared.run_metadata import recorded
from mlops_assets.assets.shared.sparklines import interval
from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion.alias import Decision
from mlops_assets.decisions.promotion.comparison import Verdict
from mlops_assets.decisions.promotion.guards import Guard
from mlops_assets.declaration import Declaration
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.trainings import TrainingRecord
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage

HAS_CHAMPION = "has_champion"
CHECKS = {
    REGISTRY_INTACT: "Alias, version and artifact in the registry are those of the champion that was decided on.",
    HAS_CHAMPION: "A version is in force, so that batches are scored.",
}
_ON_TRAINING = ("decide", "promote", "approve")


def champion_asset(model: Declaration) -> dg.AssetsDefinition:
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
    )
    def champion(
        context: dg.AssetExecutionContext,
        config: ChampionConfig,
        mlops_storage: Storage,
        mlflow_registry: MlflowRegistry,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        records = ModelRecords(model, mlops_storage)
        had_champion = _had_champion(context, key)
        before = before_of(records, mlflow_registry, context, had_champion)
        if config.action == "decide":
            number = config.version or recorded(context, asset_key(model.name, "challenger"))["version"]
            approve = f"{model.name}_approve" if model.approval else ""
            judged = judge(records, number, before, mlflow_registry, approve)
        else:
            judged = asked(records, config, context, before, mlflow_registry)
        if config.action in _ON_TRAINING:
            judged = with_refit(records, judged, mlflow_registry, context)
        carry_out(judged, before, records, mlflow_registry, context)
        if config.action in _ON_TRAINING:
            note_training(context, judged, before.champion, records)
        context.log.info(f"{model.name}: {judged.decision.verdict}: {judged.decision.reason}")

        state = registry_state(mlflow_registry, records)
        yield check_result(state.outcome(), key)
        after = records.champion
        yield check_result(_has_champion(after, judged.decision), key)
        shown = _metadata(records, judged, before.champion, after, mlflow_registry)
        if state.alias is None and before.state == "lost":
            raise dg.Failure(f"{model.name} has no champion: {judged.decision.reason}", allow_retries=False)
        if config.action == "decide" and refused_by_moment(judged):  # a failed run is tried again, a few times
            reason = f"{model.name} version {judged.version.version} was slow: {judged.decision.reason}"
            raise dg.Failure(reason, allow_retries=False)
        if after is None:  # downstream assets have nothing to build on and are skipped
            context.log_event(dg.AssetMaterialization(key, metadata=shown))
            return
        yield dg.MaterializeResult(data_version=dg.DataVersion(after.digest), metadata=shown)

    return champion


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
    return CheckOutcome(
        HAS_CHAMPION,
        False,
        f"no batch is scored: {decision.reason}",
        severity="warn" if decision.waits else "error",
        blocking=False,
    )


def _metadata(
    records: ModelRecords,
    judged: Judgement,
    before: ModelVersion | None,
    after: ModelVersion | None,
    registry: MlflowRegistry,
) -> dict[str, Any]:
    versions = registry.versions(records.name)
    waits = records.requests.waiting()
    shown = metadata(
        {
            "verdict": judged.decision.verdict,
            "reason": judged.decision.reason,
            "waiting_for_approval": waits.version if waits is not None else None,
            "version": after.version if after is not None else None,
            "judged_version": judged.version.version,
            "refit_of": (after.refit_of or None) if after is not None else None,
            "version_before": before.version if before is not None else None,
            "decided_by": judged.by,
        }
    )
    if judged.comparison is not None:
        shown |= _evidence(judged.comparison)
    if judged.guards:
        shown["guards"] = table(_guard_row(guard) for guard in judged.guards)
    for name, gates in (("gates", judged.gates), ("refit", judged.refit.gates if judged.refit else ())):
        if gates:
            shown[name] = table({"gate": gate.name, "passed": gate.passed, "result": gate.message} for gate in gates)
    shown["history"] = table(history_rows(versions, records.trainings.all()))
    if after is None:
        return shown
    shown["mlflow_version"] = link(
        f"{after.model} version {after.version}", registry.version_url(after.model, after.version)
    )
    return shown | metadata({"digest": after.digest[:16]})


def _guard_row(guard: "Guard") -> dict[str, Any]:
    """Return the row of a guard with the verdict before the figures that lead to it."""
    figures = {"improvement": guard.effect, "p": guard.p_adjusted}
    return {"guard": guard.name, "verdict": guard.verdict, **figures, "note": guard.note}


def _evidence(found: "Verdict") -> dict[str, Any]:
    """Return the improvement as a number to follow, as a picture in place, as a table, and as a plot behind a link."""
    evidence: Mapping[str, Any] = found.to_dict()
    shown = metadata({"improvement": evidence["effect"], "more_rows_to_settle": evidence["more_rows"]})
    if len(found.differences):
        caption = (
            f"{found.metric}: {found.effect:.4g} better ({found.low:.4g} to {found.high:.4g}); dashed: no difference"
        )
        shown |= drawn("interval", lambda: interval(found.low, found.effect, found.high, caption))
    names = ("effect", "low", "high", "p")
    shown["comparison"] = table([{"metric": found.metric, **{name: evidence[name] for name in names}}])
    if len(found.differences):
        shown |= drawn("comparison_plot", lambda: _comparison_plot(found))
    return shown


def _comparison_plot(found: "Verdict") -> dg.MarkdownMetadataValue:
    from mlops_assets.modelling.plots.model_plots import comparison

    return image(comparison(found.differences, found.low, found.high), "improvement over the champion")


def history_rows(versions: Sequence[ModelVersion], trainings: Sequence[TrainingRecord]) -> list[dict[str, Any]]:
    """Return the newest versions with the decision on each; only the ledger knows versions that a gate refused."""
    refused = {each.version: each.reason for each in trainings if each.status == "refused"}
    return [
        {
            "version": each.version,
            "verdict": "refused" if each.version in refused and "verdict" not in each.tags else _said(each),
            "trained until": each.tags.get("trained_until", "")[:10],
            "reason": each.tags.get("reason") or refused.get(each.version, ""),
        }
        for each in versions[:20]
    ]


def _said(version: ModelVersion) -> str:
    """Return the verdict on a version, the person who decided, if any, and for a refit the judged version."""
    said = f"refit of version {version.refit_of}" if version.refit_of else "not judged"
    if "verdict" not in version.tags:
        return said
    by = version.tags.get("decided_by", PACK)
    verdict = version.tags["verdict"] + (f" by {by}" if by != PACK else "")
    return f"{verdict}, {said}" if version.refit_of else verdict
