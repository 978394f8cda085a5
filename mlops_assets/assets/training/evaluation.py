"""`evaluation`: the challenger on the holdout, beside the champion: intervals, slices, features, plots, gate."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import dagster as dg
from pydantic import Field

from mlops_assets.assets.shared.drawing import drawn_plots
from mlops_assets.assets.shared.engine import Used, engine_of, resource_keys
from mlops_assets.assets.shared.keys import asset_key, check_specs
from mlops_assets.assets.shared.metadata import check_result, link, metadata, table
from mlops_assets.assets.shared.model_asset import Asset, model_asset
from mlops_assets.assets.training import feature_tables
from mlops_assets.assets.training.gates import QUALITY_GATES, Case, open_case, quality_gate
from mlops_assets.assets.training.step import Step
from mlops_assets.declaration import Declaration
from mlops_assets.errors import FeaturesError
from mlops_assets.lazy import pd
from mlops_assets.modelling.feature_worth.worth import FeatureTest
from mlops_assets.modelling.metrics.intervals import by_slice, intervals
from mlops_assets.modelling.plots import model_plots as plots
from mlops_assets.modelling.predictions import Predictions, predict
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.references import record_importance
from mlops_assets.records.rows import sample_of
from mlops_assets.resources import MlflowRegistry, Storage
from mlops_assets.resources.mlflow.model_version import ModelVersion

SLICES = "slices.json"
"""Artifact of the version's MLflow run: its metrics by slice, for the model card."""


class EvaluationConfig(dg.Config):
    """What a person may ask for in the launchpad."""

    ablation: bool = Field(
        False, description="Refit without each feature, and with each alone, also where the model does not declare it."
    )


def evaluation_asset(model: Declaration) -> Asset:
    """Return the asset `evaluation`: metrics with intervals, by slice and by feature, with plots."""
    key = asset_key(model.name, "evaluation")

    @model_asset(
        model,
        "evaluation",
        kinds={"mlflow", "matplotlib"},
        code_version=model.training_version,
        deps=[asset_key(model.name, "challenger")],
        description=f"The challenger of {model.name} on the holdout, beside the champion.",
        check_specs=check_specs(model.name, "evaluation", QUALITY_GATES | feature_tables.CHECKS, blocking=False),
        required_resource_keys=resource_keys(model, "mlops_storage", "mlflow_registry"),
    )
    def evaluation(
        context: dg.AssetExecutionContext, config: EvaluationConfig
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        mlops_storage: Storage = context.resources.mlops_storage
        mlflow_registry: MlflowRegistry = context.resources.mlflow_registry
        step = Step(ModelRecords(model, mlops_storage), mlflow_registry, context)
        version = step.versions.version(step.upstream_version("challenger"))
        case = open_case(step.records, mlflow_registry, version)
        tests, used = _tested(case, config.ablation or model.ablation, context)
        record_importance(step.records, version, feature_tables.importance_record(tests))
        figures = _figures(case, step.records.champion, mlflow_registry)
        mlflow_registry.log(version.run_id, metrics={metric.name: figures[metric.name] for metric in case.metrics})
        gate = quality_gate(case)
        shown = {
            **figures,
            **metadata(used.metadata()),
            "features": feature_tables.features_table(case, tests),
            **drawn_plots(_plots(case, tests), "_plot", partial(mlflow_registry.log_bytes, version.run_id)),
            "mlflow_run": link("the run with its plots", mlflow_registry.run_url(version.run_id)),
        }
        yield dg.MaterializeResult(data_version=dg.DataVersion(version.digest), metadata=shown)
        yield from (check_result(outcome, key) for outcome in (gate, *feature_tables.feature_checks(case, tests)))

    return evaluation


def _tested(case: Case, ablation: bool, context: dg.AssetExecutionContext) -> tuple[list[FeatureTest], Used]:
    """Return the tests of the features, and the engine of the model if it was needed."""
    used = Used()
    if not ablation:
        return feature_tables.tested_features(case, ablation), used
    with engine_of(case.model, context, used) as engine:
        return feature_tables.tested_features(case, ablation, engine), used


def champion_predictions(
    case: Case, champion: ModelVersion, registry: MlflowRegistry
) -> tuple[Predictions | None, str]:
    """Return the champion's predictions for the challenger's holdout; None and the reason if it cannot score it."""
    model = case.model
    try:
        return predict(registry.load(champion, model.serialization, model.trusted_types), case.holdout.X), ""
    except FeaturesError as error:
        return None, f"champion version {champion.version} cannot score the challenger's features: {error}"


def _figures(case: Case, champion: ModelVersion | None, registry: MlflowRegistry) -> dict[str, Any]:
    """Return the figures to follow over time as plain numbers, then tables with intervals and by slice."""
    version, names, note = case.version.version, [metric.name for metric in case.metrics], ""
    predictions = {f"challenger v{version}": case.predictions}
    if champion is not None and champion.version != version:
        of_champion, note = champion_predictions(case, champion, registry)
        if of_champion is not None:
            predictions[f"champion v{champion.version}"] = of_champion
    by_model = {who: intervals(case.holdout.y, one, names, seed=case.model.seed) for who, one in predictions.items()}
    challenger = by_model[f"challenger v{version}"]
    return metadata(
        {
            "version": version,
            **{name: challenger[name].value for name in names},
            "holdout_rows": len(case.holdout.y),
            "sample": sample_of(case.train, case.holdout) or None,
            "note": note or None,
            "metrics": [
                {
                    "metric": name,
                    "model": who,
                    "value": by_name[name].value,
                    "95% interval": f"{by_name[name].low:.4g} to {by_name[name].high:.4g}",
                }
                for name in names
                for who, by_name in by_model.items()
            ],
            **(_by_slice(case, names, registry) if case.model.slices else {}),
        }
    )


def _by_slice(case: Case, names: list[str], registry: MlflowRegistry) -> dict[str, Any]:
    """Return the metrics by slice as a table, and log them for the model card."""
    slices: pd.DataFrame = case.holdout.about[case.model.slices]
    figures = by_slice(case.holdout.y, case.predictions, slices, names)
    judged = figures["note"] == ""
    rows = figures[judged].drop(columns="note").to_dict("records")
    registry.log_json(case.version.run_id, SLICES, [{name: str(value) for name, value in row.items()} for row in rows])
    return {"slices": table(rows), "slices_too_small": int((~judged).sum()) or None}


def _plots(case: Case, tests: list[FeatureTest]) -> dict[str, Callable[[], bytes]]:
    y = case.holdout.y
    drawings: dict[str, Callable[[], bytes]] = {}
    if case.problem == "regression":
        time = case.holdout.time(case.model.time)
        drawings["predicted_and_actual"] = lambda: plots.predicted_and_actual(y, case.predictions, time)
        drawings["residuals"] = lambda: plots.residuals(y, case.predictions)
    elif case.problem == "binary" and case.predictions.probability is not None:
        drawings["calibration"] = lambda: plots.calibration(y, case.predictions)
        drawings["roc_pr"] = lambda: plots.roc_pr(y, case.predictions)
    return {**drawings, "importance": lambda: feature_tables.importance_plot(tests)}
