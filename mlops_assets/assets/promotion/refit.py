"""A refit: the version to be promoted, fitted again on its training and holdout rows, as a version of its own."""

from dataclasses import replace

from mlops_assets.assets.promotion.judge import Judgement, Refit
from mlops_assets.assets.training.fit import register, run_of, tags_of
from mlops_assets.assets.training.gates import artifact_gates, open_case
from mlops_assets.assets.training.kept_segments import SEGMENTS_OF
from mlops_assets.assets.training.recipe import TRAIN, recipe_of, stored_recipe
from mlops_assets.assets.training.refit_by_recipe import Refitting
from mlops_assets.assets.training.segment_tables import store_segments
from mlops_assets.assets.training.step import Step
from mlops_assets.checks import reasons
from mlops_assets.errors import ArtifactError, MlopsAssetsError, RegistryError, TrainingError
from mlops_assets.records.manifests import TRAINING_SET, read_manifest
from mlops_assets.records.references import record_importance, recorded_importance, store_reference
from mlops_assets.records.rows import Rows, read_holdout, read_train, sample_of
from mlops_assets.resources.mlflow.model_version import ModelVersion


def with_refit(step: Step, judged: Judgement) -> Judgement:
    """Return the judgement with the refit that becomes champion; if it is not sound, the judged version does.

    Nothing has moved yet: a process that dies here leaves the champion as it was. The next run of the step judges anew
    and finds the registered refit.
    """
    if not (step.model.refit and judged.decision.moves) or judged.version.refit_of:
        return judged
    if SEGMENTS_OF in judged.version.tags:  # a refit would lose the segments that keep the champion's model
        return judged
    try:
        refit = _refit(step, judged.version)
    except MlopsAssetsError as error:
        if isinstance(error, RegistryError) and not isinstance(error, ArtifactError):
            raise  # MLflow does not answer: nothing is promoted, and the next attempt starts from the verdict
        refit = Refit(refused=str(error))
    if refit.refused or refit.version is None:
        outcome = f"not refitted: {refit.refused}"
    else:
        outcome = f"refitted on training and holdout rows as version {refit.version.version}"
    step.log(f"version {judged.version.version} is {outcome}")
    decision = replace(judged.decision, reason=f"{judged.decision.reason}; {outcome}")
    return replace(judged, decision=decision, refit=refit)


def _refit(step: Step, judged: ModelVersion) -> Refit:
    """Return the refit of a version, new or registered earlier, with the gates that apply to a refit."""
    records, refit_tags = step.records, judged.tags_of_refit()
    manifest = read_manifest(records, judged.data_version)
    everything = replace(manifest, train=(*manifest.train, *manifest.holdout), holdout=())
    rows = read_train(records, everything)
    version = step.versions.find(**refit_tags)
    if version is None:
        records.storage.write_document(records.name, TRAINING_SET, everything.version, everything.to_dict())
        tags = tags_of(step, everything, judged.declaration_version, sample_of(rows)) | refit_tags
        version = _fitted(step, judged, rows, read_holdout(records, manifest), tags)
    case = open_case(records, step.registry, version)
    store_reference(records, version, rows, case.holdout, case.predictions)
    store_segments(step, version, case.fitted, rows)
    importance = recorded_importance(records, judged)
    if importance is not None:  # else the judged version was never evaluated
        record_importance(records, version, importance)
    gates = artifact_gates(case)
    return Refit(version, tuple(gates), "; ".join(reasons(gates)))


def _fitted(step: Step, judged: ModelVersion, rows: Rows, holdout: Rows, tags: dict[str, str]) -> ModelVersion:
    """Fit by the recipe of the judged version, with the parameters that its search chose, and register."""
    recorded = stored_recipe(step.records, judged)
    if recorded is None:
        raise TrainingError(f"version {judged.version} was registered before recipes were kept: train it again")
    refitting = Refitting(step.model, recorded)
    model, searched = step.model.model_copy(update={"params": refitting.params()}), refitting.searched()
    if model.training_version != judged.declaration_version:
        raise TrainingError(f"what is declared has changed since version {judged.version} was fitted: train it again")
    with run_of(step, f"refit of version {judged.version}", tags) as run_id:
        fitted = refitting.fit(step.model, rows)
        step.registry.log(run_id, params={**model.params, **searched}, metrics={"train_rows": len(rows.y)})
        recipe = recipe_of(model, searched, fitted, {TRAIN: rows})
        return register(step, run_id, tags, fitted, recipe, rows, holdout)
