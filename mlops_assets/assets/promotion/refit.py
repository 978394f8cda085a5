"""A refit: the version to be promoted, fitted again on its training and holdout rows, as a version of its own."""

from dataclasses import replace

import dagster as dg

from mlops_assets.assets.promotion.judge import Judgement, Refit
from mlops_assets.assets.training.fit import register, run_of, tags_of
from mlops_assets.assets.training.gates import artifact_gates, open_case
from mlops_assets.assets.training.recipe import TRAIN, recipe_of, stored_recipe
from mlops_assets.assets.training.refit_by_recipe import Refitting
from mlops_assets.checks import reasons
from mlops_assets.errors import ArtifactError, MlopsAssetsError, RegistryError, TrainingError
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.references import record_importance, recorded_importance, store_reference
from mlops_assets.records.rows import TRAINING_SET, Rows, read_holdout, read_manifest, read_train
from mlops_assets.records.versions import OwnVersions
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry


def with_refit(
    records: ModelRecords,
    judged: Judgement,
    registry: MlflowRegistry,
    context: dg.AssetExecutionContext,
) -> Judgement:
    """Return the judgement with the refit that becomes champion; if it is not sound, the judged version does.

    Nothing has moved yet: a process that dies here leaves the champion as it was. The next run of the step judges anew
    and finds the registered refit.
    """
    if not (records.model.refit and judged.decision.moves) or judged.version.refit_of:
        return judged
    try:
        made = _refit(records, judged.version, registry, context)
    except MlopsAssetsError as error:
        if isinstance(error, RegistryError) and not isinstance(error, ArtifactError):
            raise  # MLflow does not answer: nothing is promoted, and the next attempt starts from the verdict
        made = Refit(refused=str(error))
    if made.refused:
        said = f"not refitted: {made.refused}"
    else:
        said = f"refitted on training and holdout rows as version {made.version.version if made.version else ''}"
    context.log.info(f"{records.name}: version {judged.version.version} is {said}")
    decision = replace(judged.decision, reason=f"{judged.decision.reason}; {said}")
    return replace(judged, decision=decision, refit=made)


def _refit(
    records: ModelRecords,
    judged: ModelVersion,
    registry: MlflowRegistry,
    context: dg.AssetExecutionContext,
) -> Refit:
    """Return the refit of a version, new or registered earlier, with the gates that apply to a refit."""
    model = records.model
    of_judged = read_manifest(records, judged.data_version)
    everything = replace(of_judged, train=(*of_judged.train, *of_judged.holdout), holdout=())
    rows = read_train(records, everything)
    of_refit = judged.tags_of_refit()
    version = OwnVersions(records, registry).find(**of_refit)
    if version is None:
        records.storage.write_document(model.name, TRAINING_SET, everything.version, everything.to_dict())
        tags = tags_of(model, everything, judged.declaration_version, context) | of_refit
        holdout = read_holdout(records, of_judged)
        version = _fitted(records, judged, rows, holdout, tags, registry)
    case = open_case(records, version, registry)
    store_reference(records, version, rows, case.holdout, case.predictions)
    importance = recorded_importance(records, judged)
    if importance is not None:  # else the judged version was never evaluated
        record_importance(records, version, importance)
    gates = artifact_gates(model, case)
    return Refit(version, tuple(gates), "; ".join(reasons(gates)))


def _fitted(
    records: ModelRecords,
    judged: ModelVersion,
    rows: Rows,
    holdout: Rows,
    tags: dict[str, str],
    registry: MlflowRegistry,
) -> ModelVersion:
    """Fit by the recipe of the judged version, with the parameters that its search found, and register."""
    model = records.model
    recipe = stored_recipe(records, judged)
    if recipe is None:
        raise TrainingError(f"version {judged.version} was registered before recipes were kept: train it again")
    refitting = Refitting(model, recipe, as_declared=False)
    given, found = refitting.given(), refitting.found()
    if model.model_copy(update={"params": given}).training_version != judged.declaration_version:
        raise TrainingError(f"what is declared has changed since version {judged.version} was fitted: train it again")
    with run_of(registry, model.name, f"refit of version {judged.version}", tags) as run_id:
        fitted = refitting.fit(model, rows)
        registry.log(run_id, params={**given, **found}, metrics={"train_rows": len(rows.y)})
        refit_recipe = recipe_of(model, given, found, fitted, {TRAIN: rows})
        return register(records, fitted, refit_recipe, rows, holdout, run_id, tags, registry)
