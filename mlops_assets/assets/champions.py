"""`champion`: judges the challenger and moves the alias, in one step under a pool of one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg
from pydantic import Field

from mlops_assets.assets.evaluations import champion_predictions
from mlops_assets.assets.judging import CHALLENGER_GATES, EVALUATION_GATES, Case, all_gates, open_case
from mlops_assets.assets.keys import asset_key, model_asset
from mlops_assets.assets.metadata import image, link, metadata, table
from mlops_assets.assets.sparklines import interval
from mlops_assets.assets.training_sets import CHECKS as TRAINING_SET_GATES
from mlops_assets.assets.upstream import recorded
from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion import Decision, alias_state, decide
from mlops_assets.declaration import Declaration
from mlops_assets.errors import MlopsAssetsError, RegistryError
from mlops_assets.resources.mlflow_registry import MlflowRegistry
from mlops_assets.resources.model_version import ModelVersion
from mlops_assets.resources.storage import Storage
from mlops_assets.resources.training_rows import read_manifest

if TYPE_CHECKING:
    from mlops_assets.decisions.comparison import Verdict

GATES = [*TRAINING_SET_GATES, *CHALLENGER_GATES, *EVALUATION_GATES]
"""Every gate that must have passed before the alias moves; one that is missing counts as failed."""


class ChampionConfig(dg.Config):
    """What a person may ask for in the launchpad. Anything but `decide` needs a name and a reason."""

    action: Literal["decide", "promote", "rollback", "hold", "release"] = Field(
        "decide",
        description="decide: compare and judge. promote: make `version` champion whatever the comparison says (its "
        "gates must pass). rollback: back to `version`, a former champion. hold, release: stop and resume promotions.",
    )
    version: int = Field(0, description="Version that promote and rollback mean; 0 is the newest challenger.")
    by: str = Field("", description="Who asks for it.")
    reason: str = Field("", description="Why.")


@dataclass(frozen=True)
class Judgement:
    """A decision on a version with all its evidence."""

    decision: Decision
    version: ModelVersion
    gates: tuple[CheckOutcome, ...] = ()
    comparison: "Verdict | None" = None
    by: str = "mlops_assets"


def champion_asset(model: Declaration) -> dg.AssetsDefinition:
    """The version that the alias names, and why."""
    key = asset_key(model.name, "champion")

    @model_asset(
        model,
        "champion",
        kinds={"mlflow"},
        code_version=model.training_version,
        deps=[asset_key(model.name, "challenger"), asset_key(model.name, "evaluation")],
        description=f"The version of {model.name} in production: what the MLflow alias `champion` names, and why.",
        pool=f"{model.name}_champion",
    )
    def champion(
        context: dg.AssetExecutionContext,
        config: ChampionConfig,
        mlops_storage: Storage,
        mlflow_registry: MlflowRegistry,
    ) -> dg.MaterializeResult[Any]:
        before = _finished(mlflow_registry.champion(model.name), mlflow_registry)
        had_champion = context.instance.get_latest_materialization_event(key) is not None
        if config.action == "decide":
            number = config.version or recorded(context, asset_key(model.name, "challenger"))["version"]
            judged = _judge(model, number, before, had_champion, mlops_storage, mlflow_registry)
        else:
            judged = _asked(model, config, context, before, mlops_storage, mlflow_registry)
        _record(judged, before, mlflow_registry)
        after = mlflow_registry.champion(model.name)
        context.log.info(f"{model.name}: {judged.decision.verdict}: {judged.decision.reason}")
        if after is None:
            raise dg.Failure(f"{model.name} has no champion: {judged.decision.reason}", allow_retries=False)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(after.digest),
            metadata=_metadata(model, judged, before, after, mlflow_registry),
        )

    return champion


def _judge(
    model: Declaration,
    number: int,
    before: ModelVersion | None,
    had_champion: bool,
    storage: Storage,
    registry: MlflowRegistry,
) -> Judgement:
    """Gates and comparison, computed anew from the registered model and the stored rows."""
    version = registry.version(model.name, number)
    if before is not None and before.version == version.version:
        return Judgement(Decision("keep", False, f"version {number} is the champion already"), version)
    versions = registry.versions(model.name)
    state = alias_state(before, versions, had_champion)
    case = open_case(model, version, storage, registry)
    gates = tuple(all_gates(model, case))
    comparison, why_not = _compare(model, case, before, storage, registry) if before is not None else (None, "")
    held = next((each.tags["hold"] for each in versions if each.tags.get("hold")), "")
    return Judgement(decide(_together(gates), state, held, comparison, why_not), version, gates, comparison)


def _compare(
    model: Declaration, case: Case, champion: ModelVersion, storage: Storage, registry: MlflowRegistry
) -> "tuple[Verdict | None, str]":
    from mlops_assets.decisions.comparison import compare

    trained = {batch.key for batch in read_manifest(storage, model.name, champion.tags["data_version"]).train}
    if seen := [batch.key for batch in case.manifest.holdout if batch.key in trained]:
        return None, f"champion version {champion.version} was trained on {seen[0]!r} of this holdout: train again"
    said, why_not = champion_predictions(model, champion, case, registry)
    if said is None:
        return None, why_not
    verdict = compare(
        case.holdout.y.to_numpy(),
        said,
        case.predictions,
        case.metrics[0],
        min_gain=model.gates.min_gain,
        alpha=1 - model.gates.confidence,
        seed=model.seed,
    )
    return verdict, ""


def _asked(
    model: Declaration,
    config: ChampionConfig,
    context: dg.AssetExecutionContext,
    before: ModelVersion | None,
    storage: Storage,
    registry: MlflowRegistry,
) -> Judgement:
    """What a person asked for, if it may be done; nothing lifts the blocking gates."""
    if not config.by.strip() or not config.reason.strip():
        raise MlopsAssetsError(
            f"{model.name}: action {config.action!r} needs `by` (who) and `reason` (why) in the config"
        )
    if config.action in ("hold", "release"):
        if before is None:
            raise RegistryError(f"{model.name} has no champion to {config.action}")
        for each in registry.versions(model.name):  # a hold is the model's, whichever version it was put on
            if each.tags.get("hold"):
                registry.tag(model.name, each.version, {"hold": ""})
        if config.action == "hold":
            registry.tag(model.name, before.version, {"hold": f"{config.by}: {config.reason}"})
        return Judgement(Decision("keep", False, f"{config.action}: {config.reason}"), before, by=config.by)
    number = config.version or int(recorded(context, asset_key(model.name, "challenger"))["version"])
    version = registry.version(model.name, number)
    if config.action == "rollback":
        if not version.promotion:
            raise MlopsAssetsError(f"{model.name}: version {number} was never champion, so there is no way back to it")
        registry.load(version, model.serialization, model.trusted_types)  # refuses a changed or missing artifact
        return Judgement(Decision("promote", True, f"rollback: {config.reason}"), version, by=config.by)
    gates = tuple(all_gates(model, open_case(model, version, storage, registry)))
    together = _together(gates)
    if not together.passed:
        raise MlopsAssetsError(f"{model.name}: version {number} may not be promoted: {together.message}")
    return Judgement(Decision("promote", True, f"by hand: {config.reason}"), version, gates, by=config.by)


def _together(gates: tuple[CheckOutcome, ...]) -> CheckOutcome:
    from mlops_assets.decisions.gates import all_pass

    return all_pass(GATES, gates)


def _record(judged: Judgement, before: ModelVersion | None, registry: MlflowRegistry) -> None:
    """Tags first, the alias last but for the mark that it has moved: see `alias_state`."""
    decision, version = judged.decision, judged.version
    if not decision.moves and before is not None and before.version == version.version:
        return  # what is said of the champion now is not why it became champion
    evidence = {
        "verdict": decision.verdict,
        "reason": decision.reason,
        "decided_by": judged.by,
        "decided_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "compared_with": str(before.version) if before is not None else "",
    }
    registry.tag(version.model, version.version, evidence)
    if not decision.moves:
        return
    number = 1 + max(max(each.promotion, each.intended) for each in registry.versions(version.model))
    registry.tag(version.model, version.version, {"promotion_intended": str(number)})
    registry.set_champion(version.model, version.version)
    registry.tag(version.model, version.version, {"promotion": str(number)})


def _finished(champion: ModelVersion | None, registry: MlflowRegistry) -> ModelVersion | None:
    """The champion, marked as promoted where a crash came between the alias and the mark; else no way back to it."""
    if champion is None or champion.intended <= champion.promotion:
        return champion
    if alias_state(champion, registry.versions(champion.model), True) != "sound":
        return champion
    registry.tag(champion.model, champion.version, {"promotion": str(champion.intended)})
    return registry.version(champion.model, champion.version)


def _metadata(
    model: Declaration, judged: Judgement, before: ModelVersion | None, after: ModelVersion, registry: MlflowRegistry
) -> dict[str, Any]:
    shown = metadata(
        {
            "verdict": judged.decision.verdict,
            "reason": judged.decision.reason,
            "version": after.version,
            "judged_version": judged.version.version,
            "version_before": before.version if before is not None else None,
            "decided_by": judged.by,
        }
    )
    if judged.comparison is not None:
        shown |= _evidence(judged.comparison)
    if judged.gates:
        shown["gates"] = table(
            {"gate": gate.name, "passed": gate.passed, "result": gate.message} for gate in judged.gates
        )
    shown["history"] = table(_history(registry.versions(model.name)))
    shown["mlflow_version"] = link(
        f"{after.model} version {after.version}", registry.version_url(after.model, after.version)
    )
    return shown | metadata({"digest": after.digest[:16]})


def _evidence(found: "Verdict") -> dict[str, Any]:
    """The improvement as a number to follow, as a picture in place, as a table, and as a plot behind a link."""
    from mlops_assets.modelling.plots import comparison as comparison_plot

    evidence: Mapping[str, Any] = found.to_dict()
    shown = metadata({"improvement": evidence["effect"]})
    if len(found.differences):
        caption = (
            f"{found.metric}: {found.effect:.4g} better ({found.low:.4g} to {found.high:.4g}); dashed: no difference"
        )
        shown["interval"] = interval(found.low, found.effect, found.high, caption)
    names = ("effect", "low", "high", "p")
    shown["comparison"] = table([{"metric": found.metric, **{name: evidence[name] for name in names}}])
    if len(found.differences):
        picture = comparison_plot(found.differences, found.low, found.high)
        shown["comparison_plot"] = image(picture, "improvement over the champion")
    return shown


def _history(versions: "list[ModelVersion]") -> list[dict[str, Any]]:
    return [
        {
            "version": each.version,
            "verdict": f"{each.tags['verdict']} by {each.tags['decided_by']}"
            if "verdict" in each.tags
            else "not judged",
            "trained until": each.tags.get("trained_until", ""),
            "reason": each.tags.get("reason", ""),
        }
        for each in versions[:20]
    ]
