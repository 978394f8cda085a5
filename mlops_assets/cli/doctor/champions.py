"""The champions: whether each can be loaded, and whether artifacts lie where they are declared."""

from collections.abc import Iterator, Mapping

from mlops_assets.cli.doctor.findings import Finding, advice, fault, fine
from mlops_assets.cli.rehoming import misplaced_models
from mlops_assets.declaration import Declaration
from mlops_assets.errors import ArtifactError, MlopsAssetsError
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage


def champions(registry: MlflowRegistry, storage: Storage, models: Mapping[str, Declaration]) -> Iterator[Finding]:
    """Verify and load the champion of each model, by its digest, as scoring does."""
    loaded = 0
    for model in models.values():
        try:
            champion = ModelRecords(model, storage).champion
            if champion is not None:
                registry.verify(champion)  # what MLflow has: loading may use this machine's copy
                registry.load(champion, model.serialization, model.trusted_types)
                loaded += 1
        except ArtifactError as error:
            why = "No batch of this model is scored."
            yield fault(f"champion of {model.name}", str(error), why, "mend what it says, or train and register anew")
        except MlopsAssetsError as error:
            yield advice(f"champion of {model.name}", str(error), "Whether batches can be scored is not known.")
    if loaded:
        yield fine("champions", f"{loaded} of {len(models)} models have a champion that can be loaded")


def artifact_places(registry: MlflowRegistry, models: Mapping[str, Declaration]) -> list[Finding]:
    """Check that MLflow's store keeps the artifacts where they are declared."""
    if registry.artifact_folder is None:
        return []
    why = "The home was moved or copied: no version is trained, and the champion may be that of another home."
    return [
        fault(
            f"artifacts of {move.model}",
            f"MLflow's store has them at {move.before}, and {move.after} is declared",
            why,
            "run `mlops-assets rehome`",
        )
        for move in misplaced_models(registry, models)
    ] or [fine("artifacts", f"lie below {registry.artifact_folder}")]
