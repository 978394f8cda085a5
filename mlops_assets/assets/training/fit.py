"""Fit, log and register one version; the same data, declaration and seed are fitted once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlops_assets.assets.shared.engine import AT_ONCE, Used, engine_of, workers_of
from mlops_assets.assets.training.gates import PREDICTIONS_TAG, predictions_digest, trained_on
from mlops_assets.assets.training.kept_segments import SEGMENTS_OF, with_kept_segments
from mlops_assets.assets.training.recipe import HOLDOUT, RECIPE_TAG, TRAIN, recipe_of, store_recipe
from mlops_assets.assets.training.step import Step
from mlops_assets.assets.training.tracking import TrackedTrials
from mlops_assets.declaration import Declaration
from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.search import SearchResult, fit, search
from mlops_assets.modelling.fitting.trials import Trial
from mlops_assets.modelling.fleet import fleet_of
from mlops_assets.modelling.manifest import Manifest
from mlops_assets.modelling.metrics import METRICS, default_metrics, metric
from mlops_assets.modelling.predictions import predict
from mlops_assets.modelling.problem import problem_of
from mlops_assets.modelling.recipe import PACKAGES, Recipe, packages_of
from mlops_assets.modelling.splits import time_folds
from mlops_assets.modelling.thresholds import ThresholdRule
from mlops_assets.records.manifests import read_manifest
from mlops_assets.records.rows import Rows, read_holdout, read_train, sample_of
from mlops_assets.resources.mlflow.model_files import digest_of, save_model
from mlops_assets.resources.mlflow.model_version import SAMPLE, ModelVersion
from mlops_assets.text import shown


@dataclass(frozen=True)
class Trained:
    """A registered version with its parameters and trials, the engine, and whether an earlier run had trained it."""

    version: ModelVersion
    params: Mapping[str, Any]
    trials: tuple[Trial, ...] = ()
    reused: bool = False
    used: Used = field(default_factory=Used)


def train(step: Step, data_version: str, overrides: Mapping[str, Any]) -> Trained:
    """Fit and register the version of this data and declaration, or return the one of an earlier run."""
    model = step.model.model_copy(update={"params": {**step.model.params, **overrides}})
    existing = step.versions.find(data_version=data_version, declaration_version=model.training_version)
    if existing is not None:
        step.log(f"version {existing.version} was trained on this data before; nothing to fit")
        return Trained(existing, {}, reused=True)
    manifest = read_manifest(step.records, data_version)
    rows, holdout = (read(step.records, manifest) for read in (read_train, read_holdout))
    tags = tags_of(step, manifest, model.training_version, sample_of(rows, holdout))
    with run_of(step, f"challenger {manifest.trained_until}", tags) as run_id:
        used, tracked = Used(), TrackedTrials(step, run_id)
        result = _fitted(model, rows, overrides, step, tracked, used)
        _warn_of_failed(step, result.model)
        result, kept = _with_champions(step, manifest, result, holdout)
        tags |= kept
        params = {**model.params, **result.params}
        step.registry.log(run_id, params=params, metrics={"train_rows": len(rows.y), "holdout_rows": len(holdout.y)})
        tracked.log_waiting()
        recipe = recipe_of(model, result.params, result.model, {TRAIN: rows, HOLDOUT: holdout})
        version = register(step, run_id, tags, result.model, recipe, rows, holdout)
    step.log(f"registered version {version.version}, sha256 {version.digest[:12]}")
    return Trained(version, params, result.trials, used=used)


def tags_of(step: Step, manifest: Manifest, declaration_version: str, sample: str) -> dict[str, str]:
    """Return the tags of a version that are known before it is fitted; `sample` as `sample_of` says it."""
    model, packages = step.model, packages_of()
    return {
        "data_version": manifest.version,
        "declaration_version": declaration_version,
        "features_version": model.features_version,
        "trained_until": manifest.trained_until,
        "seed": str(model.seed),
        "serialization": model.serialization,
        "packages": ", ".join(f"{name}=={packages[name]}" for name in PACKAGES),
        "python": packages["python"],
        "mlops_assets": packages["mlops-assets"],
        "dagster_run_id": step.context.run.run_id,
        **({SAMPLE: sample} if sample else {}),
    }


@contextmanager
def run_of(step: Step, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    """Yield the id of an MLflow run that lasts as long as the fit."""
    run_id, status = step.registry.start_run(step.model.name, name, tags), "FAILED"
    try:
        yield run_id
        status = "FINISHED"
    finally:
        step.registry.end_run(run_id, status)


def register(
    step: Step, run_id: str, tags: Mapping[str, str], fitted: Any, recipe: Recipe, rows: Rows, holdout: Rows
) -> ModelVersion:
    """Write recipe, registration, artifact, then the version with all its tags in one call, in this order."""
    model = step.model
    predictions = predict(fitted, holdout.X)
    tags = {**tags, PREDICTIONS_TAG: predictions_digest(predictions), RECIPE_TAG: store_recipe(step.records, recipe)}
    with tempfile.TemporaryDirectory(prefix="mlops_assets_") as place:
        folder = Path(place) / "model"
        save_model(fitted, folder, rows.X, model.serialization, trusted=model.trusted_types)
        step.versions.record(run_id, digest_of(folder), tags)
        return step.versions.of(step.registry.register(model.name, folder, run_id, tags))


def _fitted(
    model: Declaration, rows: Rows, overrides: Mapping[str, Any], step: Step, tracked: TrackedTrials, used: Used
) -> SearchResult:
    problem = problem_of(rows.y, model.problem)
    _refuse_metrics(model, "regression" if problem == "regression" else "classification")
    pipeline = build(model.estimator, model.params, rows.X, problem, model.seed, rows.y, decided_by(model))
    step.log(f"fitting {len(rows.y):,} rows x {rows.X.shape[1]} features")
    if model.search is None and model.fleet is None:
        return SearchResult(fit(pipeline, rows.X, rows.y), {}, ())
    with engine_of(model, step.context, used) as engine:
        options = {} if model.fleet is None else {"fleet__engine": engine, "fleet__progress": step.log}
        if model.search is None:
            return SearchResult(fit(pipeline, rows.X, rows.y, options), {}, ())
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
            progress=tracked.add,
            engine=engine,
            at_once=1 if workers_of(model) is None else AT_ONCE,
            options=options,
        )


def _warn_of_failed(step: Step, fitted: Any) -> None:
    """Say how many segments of a fleet could not be fitted, and why the first could not."""
    fleet = fleet_of(fitted)
    if fleet is not None and fleet.failed_:
        name, reason = next(iter(fleet.failed_.items()))
        text = (
            f"{len(fleet.failed_):,} segments could not be fitted and share the pooled model; {shown(name)}: {reason}"
        )
        step.context.log.warning(f"{step.model.name}: {text}")


def _with_champions(
    step: Step, manifest: Manifest, result: SearchResult, holdout: Rows
) -> tuple[SearchResult, dict[str, str]]:
    """Return the result with the segments of a fleet that keep the champion's model, and the tag that names it."""
    champion = step.records.champion if fleet_of(result.model) is not None else None
    if champion is None:
        return result, {}
    if trained_on(step.records, champion, manifest):
        return result, {}
    kept = with_kept_segments(step.registry, step.model, champion, result.model, holdout)
    if kept is None:
        return result, {}
    step.log(f"{len(kept.named_steps['fleet'].route_):,} segments keep the models of version {champion.version}")
    return replace(result, model=kept), {SEGMENTS_OF: str(champion.version)}


def decided_by(model: Declaration) -> ThresholdRule:
    """Return how scores become probabilities, probabilities a label, and which rows have a model of their own."""
    return ThresholdRule(model.threshold, model.calibrate, model.metrics, model.fleet)


def _refuse_metrics(model: Declaration, kind: str) -> None:
    """Refuse a metric that is misspelt or of another kind of problem before fitting rather than after."""
    for name in (*model.metrics, *model.gates.minimum, *model.gates.maximum, *model.gates.guards):
        if metric(name).kind not in (kind, None):
            suited = ", ".join(known.name for known in METRICS.values() if known.kind == kind)
            raise DeclarationError(
                f"ModelPipeline {model.name!r}: metric {name!r} is for {metric(name).kind}, the target poses {kind}. "
                f"Use some of: {suited}"
            )
