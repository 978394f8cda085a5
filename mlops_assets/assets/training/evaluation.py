"""`evaluation`: the challenger on the holdout, beside the champion: intervals, slices, features, plots, gate."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from mlops_assets.assets.shared.drawing import drawn_plots
from mlops_assets.assets.shared.keys import asset_key, check_specs, model_asset
from mlops_assets.assets.shared.metadata import check_result, link, metadata, table
from mlops_assets.assets.shared.run_metadata import recorded
from mlops_assets.assets.training.feature_tables import (
    FEATURE_CHECKS,
    feature_checks,
    features_table,
    importance_plot,
    importance_record,
    judging_metric,
    tested_features,
)
from mlops_assets.assets.training.gates import QUALITY_GATES, Case, evaluation_gates, open_case
from mlops_assets.declaration import Declaration
from mlops_assets.errors import FeaturesError
from mlops_assets.lazy import pd
from mlops_assets.modelling.metrics.intervals import by_slice, intervals
from mlops_assets.modelling.predictions import Predictions, predict
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.references import record_importance
from mlops_assets.records.versions import OwnVersions
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage

if TYPE_CHECKING:
    from mlops_assets.modelling.feature_worth.worth import FeatureTest

SLICES = "slices.json"
"""Artifact of the version's MLflow run: its metrics by slice, for the model card."""


class EvaluationConfig(dg.Config):
    """What a person may ask for in the launchpad."""

    ablation: bool = Field(
        False, description="Refit without each feature, and with each alone, also where the model does not declare it."
    )


def evaluation_asset(model: Declaration) -> dg.AssetsDefinition:
    """Return the asset `evaluation`: metrics with intervals, by slice and by feature, with plots."""
    key = asset_key(model.name, "evaluation")

    @model_asset(
        model,
        "evaluation",
        kinds={"mlflow", "matplotlib"},
        code_version=model.training_version,
        deps=[asset_key(model.name, "challenger")],
        description=f"The challenger of {model.name} on the holdout, beside the champion.",
        check_specs=check_specs(model.name, "evaluation", QUALITY_GATES | FEATURE_CHECKS, blocking=False),
    )
    def evaluation(
        context: dg.AssetExecutionContext,
        config: EvaluationConfig,
        mlops_storage: Storage,
        mlflow_registry: MlflowRegistry,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        records = ModelRecords(model, mlops_storage)
        number = recorded(context, asset_key(model.name, "challenger"))["version"]
        version = OwnVersions(records, mlflow_registry).version(number)
        case = open_case(records, version, mlflow_registry)
        champion = records.champion
        tests = tested_features(model, case, ablation=config.ablation or model.ablation)
        record_importance(records, version, importance_record(tests))
        figures = _figures(model, case, champion, mlflow_registry)
        mlflow_registry.log(version.run_id, metrics={metric.name: figures[metric.name] for metric in case.metrics})
        outcomes = evaluation_gates(model, case)
        shown = {
            **figures,
            "features": features_table(tests, judging_metric(case).name),
            **drawn_plots(_plots(model, case, tests), "_plot", partial(_keep, case, mlflow_registry)),
            "mlflow_run": link("the run with its plots", mlflow_registry.run_url(version.run_id)),
        }
        yield dg.MaterializeResult(data_version=dg.DataVersion(version.digest), metadata=shown)
        yield from (check_result(each, key) for each in [*outcomes, *feature_checks(case, tests, model.target)])

    return evaluation


def champion_predictions(
    model: Declaration, champion: ModelVersion, case: Case, registry: MlflowRegistry
) -> "tuple[Predictions | None, str]":
    """Return the champion's predictions for the challenger's holdout; None and the reason if it cannot score it."""

    try:
        return predict(registry.load(champion, model.serialization, model.trusted_types), case.holdout.X), ""
    except FeaturesError as error:
        return None, f"champion version {champion.version} cannot score the challenger's features: {error}"


def _figures(model: Declaration, case: Case, champion: ModelVersion | None, registry: MlflowRegistry) -> dict[str, Any]:
    """Return the figures to follow over time as plain numbers, then tables with intervals and by slice."""

    names = [metric.name for metric in case.metrics]
    found = {f"challenger v{case.version.version}": intervals(case.holdout.y, case.predictions, names, seed=model.seed)}
    note = ""
    if champion is not None and champion.version != case.version.version:
        said, note = champion_predictions(model, champion, case, registry)
        if said is not None:
            found[f"champion v{champion.version}"] = intervals(case.holdout.y, said, names, seed=model.seed)
    challenger = next(iter(found.values()))
    shown = metadata(
        {
            "version": case.version.version,
            **{name: challenger[name].value for name in names},
            "holdout_rows": len(case.holdout.y),
            "note": note or None,
        }
    )
    shown["metrics"] = table(
        {
            "metric": name,
            "model": who,
            "value": each[name].value,
            "95% interval": f"{each[name].low:.4g} to {each[name].high:.4g}",
        }
        for name in names
        for who, each in found.items()
    )
    if model.slices:
        slices: pd.DataFrame = case.holdout.about[model.slices]
        found_by_slice = by_slice(case.holdout.y, case.predictions, slices, names)
        judged = found_by_slice["note"] == ""
        rows = found_by_slice[judged].drop(columns="note").to_dict("records")
        shown["slices"] = table(rows)
        registry.log_json(
            case.version.run_id, SLICES, [{name: str(value) for name, value in row.items()} for row in rows]
        )
        shown |= metadata({"slices_too_small": int((~judged).sum()) or None})
    return shown


def _plots(model: Declaration, case: Case, tests: "list[FeatureTest]") -> dict[str, Callable[[], bytes]]:
    from mlops_assets.modelling.plots import model_plots as plots

    y = case.holdout.y
    found: dict[str, Callable[[], bytes]] = {}
    if case.problem == "regression":
        time = case.holdout.time(model.time)
        found["predicted_and_actual"] = lambda: plots.predicted_and_actual(y, case.predictions, time)
        found["residuals"] = lambda: plots.residuals(y, case.predictions)
    elif case.problem == "binary" and case.predictions.probability is not None:
        found["calibration"] = lambda: plots.calibration(y, case.predictions)
        found["roc_pr"] = lambda: plots.roc_pr(y, case.predictions)
    return {**found, "importance": lambda: importance_plot(tests)}


def _keep(case: Case, registry: MlflowRegistry, name: str, png: bytes) -> None:
    """Store a plot with the version's MLflow run."""
    registry.log_bytes(case.version.run_id, f"{name}.png", png)
