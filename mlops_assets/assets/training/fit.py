"""Fit, log and register one version; the same data, declaration and seed are fitted once."""

import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.assets.training.gates import predictions_digest
from mlops_assets.assets.training.recipe import HOLDOUT, TAG, TRAIN, recipe_of, store_recipe
from mlops_assets.declaration import Declaration
from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.manifest import Manifest
from mlops_assets.modelling.metrics import METRICS, default_metrics, metric
from mlops_assets.modelling.predictions import predict
from mlops_assets.modelling.problem import Problem, problem_of
from mlops_assets.modelling.recipe import Recipe
from mlops_assets.modelling.splits import time_folds
from mlops_assets.modelling.thresholds import ThresholdRule
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import Rows, read_holdout, read_manifest, read_train
from mlops_assets.records.versions import OwnVersions
from mlops_assets.resources.mlflow.model_files import digest_of, save_model
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry

if TYPE_CHECKING:
    from mlops_assets.modelling.fitting.search import SearchResult, Trial

_PACKAGES = ("scikit-learn", "numpy", "pandas", "scipy", "mlflow", "dagster", "skops")


@dataclass(frozen=True)
class Trained:
    """A registered version with its parameters and trials, and whether an earlier run had already trained it."""

    version: ModelVersion
    params: Mapping[str, Any]
    trials: "tuple[Trial, ...]" = ()
    reused: bool = False


def train(
    records: ModelRecords,
    data_version: str,
    overrides: Mapping[str, Any],
    registry: MlflowRegistry,
    context: dg.AssetExecutionContext,
) -> Trained:
    """Fit and register the version of this data and declaration, or return the one of an earlier run."""
    model = records.model
    declaration_version = model.model_copy(update={"params": {**model.params, **overrides}}).training_version
    known = {"data_version": data_version, "declaration_version": declaration_version}
    existing = OwnVersions(records, registry).find(**known)
    if existing is not None:
        context.log.info(f"{model.name}: version {existing.version} was trained on this data before; nothing to fit")
        return Trained(existing, {}, reused=True)
    manifest = read_manifest(records, data_version)
    rows, holdout = (read(records, manifest) for read in (read_train, read_holdout))
    tags = tags_of(model, manifest, declaration_version, context)
    with run_of(registry, model.name, f"challenger {manifest.trained_until}", tags) as run_id:
        found = _fitted(model, rows, overrides, context)
        given = {**model.params, **overrides}
        params = {**given, **found.params}
        registry.log(run_id, params=params, metrics={"train_rows": len(rows.y), "holdout_rows": len(holdout.y)})
        registry.log_trials(run_id, found.trials)
        recipe = recipe_of(model, given, found.params, found.model, {TRAIN: rows, HOLDOUT: holdout})
        version = register(records, found.model, recipe, rows, holdout, run_id, tags, registry)
    context.log.info(f"{model.name}: registered version {version.version}, sha256 {version.digest[:12]}")
    return Trained(version, params, found.trials)


def tags_of(
    model: Declaration, manifest: "Manifest", declaration_version: str, context: dg.AssetExecutionContext
) -> dict[str, str]:
    """Return the tags of a version that are known before it is fitted."""
    return {
        "data_version": manifest.version,
        "declaration_version": declaration_version,
        "features_version": model.features_version,
        "trained_until": manifest.trained_until,
        "seed": str(model.seed),
        "serialization": model.serialization,
        "packages": ", ".join(f"{name}=={installed(name)}" for name in _PACKAGES),
        "python": platform.python_version(),
        "mlops_assets": installed("mlops-assets"),
        "dagster_run_id": context.run.run_id,
    }


@contextmanager
def run_of(registry: MlflowRegistry, model: str, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    """Yield the id of an MLflow run that lasts as long as the fit."""
    run_id, status = registry.start_run(model, name, tags), "FAILED"
    try:
        yield run_id
        status = "FINISHED"
    finally:
        registry.end_run(run_id, status)


def register(
    records: ModelRecords,
    fitted: Any,
    recipe: "Recipe",
    rows: Rows,
    holdout: Rows,
    run_id: str,
    tags: Mapping[str, str],
    registry: MlflowRegistry,
) -> ModelVersion:
    """Write recipe, registration, artifact, then the version with all its tags in one call, in this order."""

    model = records.model
    told = {
        **tags,
        "holdout_predictions": predictions_digest(predict(fitted, holdout.X)),
        TAG: store_recipe(records, recipe),
    }
    with tempfile.TemporaryDirectory(prefix="mlops_assets_") as place:
        folder = Path(place) / "model"
        save_model(fitted, folder, rows.X, model.serialization, trusted=model.trusted_types)
        own = OwnVersions(records, registry)
        own.record(run_id, digest_of(folder), told)
        return own.of(registry.register(model.name, folder, run_id, told))


def _fitted(
    model: Declaration, rows: Rows, overrides: Mapping[str, Any], context: dg.AssetExecutionContext
) -> "SearchResult":
    from mlops_assets.modelling.fitting.search import SearchResult, fit, search

    problem = problem_of(rows.y, model.problem)
    _refuse_metrics(model, problem)
    pipeline = build(
        model.estimator, {**model.params, **overrides}, rows.X, problem, model.seed, rows.y, decided_by(model)
    )
    context.log.info(f"{model.name}: fitting {len(rows.y):,} rows x {rows.X.shape[1]} features")
    if model.search is None:
        return SearchResult(fit(pipeline, rows.X, rows.y), {}, ())

    def progress(trial: "Trial") -> None:
        context.log.info(f"trial {trial.number}: score {trial.score:.5g} in {trial.seconds:.1f} s with {trial.params}")

    space = {name: values for name, values in model.search.space.items() if name not in overrides}
    return search(
        pipeline,
        rows.X,
        rows.y,
        time_folds(rows.batch, model.search.folds),
        space,
        model.search.method,
        model.search.trials,
        (model.metrics or default_metrics(problem))[0],
        model.seed,
        progress=progress,
    )


def decided_by(model: Declaration) -> "ThresholdRule":
    """Return how scores become probabilities, and probabilities a label."""

    return ThresholdRule(model.threshold, model.calibrate, model.metrics)


def _refuse_metrics(model: Declaration, problem: "Problem") -> None:
    """Refuse a metric that is misspelt or of another problem before fitting rather than after."""

    kind = "regression" if problem == "regression" else "classification"
    for name in (*model.metrics, *model.gates.minimum, *model.gates.maximum, *model.gates.guards):
        if metric(name).kind not in (kind, None):
            suited = ", ".join(each.name for each in METRICS.values() if each.kind == kind)
            raise DeclarationError(
                f"ModelPipeline {model.name!r}: metric {name!r} is for {metric(name).kind}, the target poses {kind}. "
                f"Use some of: {suited}"
            )
