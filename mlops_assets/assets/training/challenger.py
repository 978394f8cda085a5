"""`challenger`: one version fitted, registered, loaded back and compared with the baselines."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
from pydantic import Field

from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.keys import asset_key, check_specs, model_asset
from mlops_assets.assets.shared.metadata import check_result, image, link, metadata, table
from mlops_assets.assets.shared.run_metadata import recorded
from mlops_assets.assets.training.fit import Trained, train
from mlops_assets.assets.training.gates import (
    BASELINE_GATES,
    CHALLENGER_GATES,
    Case,
    baseline_predictions,
    challenger_gates,
    open_case,
)
from mlops_assets.assets.training.outcome import note_fitted, note_refused
from mlops_assets.checks import reasons
from mlops_assets.declaration import Declaration
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.references import store_reference
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage


class ChallengerConfig(dg.Config):
    """What a person may change for one run in the launchpad."""

    params: dict[str, Any] = Field(
        {}, description="Parameters of the estimator that replace declared or searched ones."
    )


def challenger_asset(model: Declaration) -> dg.AssetsDefinition:
    """Return the asset `challenger`: a registered version under test."""
    key = asset_key(model.name, "challenger")

    @model_asset(
        model,
        "challenger",
        kinds={"scikitlearn", "mlflow"},
        code_version=model.training_version,
        deps=[asset_key(model.name, "training_set")],
        description=f"A version of {model.name} under test: searched, fitted, registered in MLflow.",
        check_specs=[
            *check_specs(model.name, "challenger", CHALLENGER_GATES),
            *check_specs(model.name, "challenger", BASELINE_GATES, blocking=False),
        ],
        pool=f"{model.name}_training",  # of two runs on the same data, the second reuses the version of the first
    )
    def challenger(
        context: dg.AssetExecutionContext,
        config: ChallengerConfig,
        mlops_storage: Storage,
        mlflow_registry: MlflowRegistry,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        records = ModelRecords(model, mlops_storage)
        data_version = recorded(context, asset_key(model.name, "training_set"))["version"]
        trained = train(records, data_version, config.params, mlflow_registry, context)
        note_fitted(context, records, trained.version)
        case = open_case(records, trained.version, mlflow_registry)
        store_reference(records, trained.version, case.train, case.holdout, case.predictions)
        baselines = baseline_predictions(model, case)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(trained.version.digest),
            metadata=_metadata(trained, case, baselines, mlflow_registry),
        )
        outcomes = challenger_gates(model, case, baselines)
        if reasons(each for each in outcomes if each.name in CHALLENGER_GATES):  # the run ends: no later step notes it
            note_refused(context, records, trained.version, outcomes)
        yield from (check_result(outcome, key) for outcome in outcomes)

    return challenger


def _metadata(
    trained: Trained, case: Case, baselines: "dict[str, Predictions]", registry: MlflowRegistry
) -> dict[str, Any]:
    from mlops_assets.modelling.plots.model_plots import search_trials

    version = trained.version
    y = case.holdout.y.to_numpy()
    said = {"challenger": case.predictions, **baselines}
    shown = metadata(
        {
            "version": version.version,
            **{f"holdout_{metric.name}": metric.function(y, case.predictions) for metric in case.metrics},
        }
    )
    shown["against_baselines"] = table(
        {"model": name, **{metric.name: metric.function(y, predictions) for metric in case.metrics}}
        for name, predictions in said.items()
    )
    if trained.params:
        shown["params"] = table({"parameter": name, "value": value} for name, value in trained.params.items())
    if trained.trials:
        shown["trials"] = table(
            {
                "trial": trial.number,
                "score": trial.score,
                **trial.params,
                "seconds": trial.seconds,
                **({"error": trial.error or ""} if any(each.error for each in trained.trials) else {}),
            }
            for trial in sorted(trained.trials, key=lambda trial: -trial.score)
        )
        shown |= drawn("search_plot", lambda: image(search_trials(trained.trials), "score of each trial"))
    shown["mlflow_version"] = link(
        f"{version.model} version {version.version}", registry.version_url(version.model, version.version)
    )
    shown["mlflow_run"] = link("the run with its trials, plots and tags", registry.run_url(version.run_id))
    return shown | metadata(
        {
            "train_rows": len(case.train.y),
            "features": case.train.X.shape[1],
            "digest": version.digest[:16],
            "reused": trained.reused,
        }
    )
