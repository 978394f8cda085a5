"""`challenger`: one version fitted, registered, loaded back and compared with the baselines."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.engine import resource_keys
from mlops_assets.assets.shared.keys import asset_key, check_specs
from mlops_assets.assets.shared.metadata import check_result, image, link, metadata, version_link
from mlops_assets.assets.shared.model_asset import Asset, model_asset
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
from mlops_assets.assets.training.segment_tables import store_segments
from mlops_assets.assets.training.step import Step
from mlops_assets.checks import reasons
from mlops_assets.declaration import Declaration
from mlops_assets.modelling.fitting.trials import Trial
from mlops_assets.modelling.fleet import fleet_of, segment_table
from mlops_assets.modelling.plots.model_plots import search_trials
from mlops_assets.modelling.predictions import Predictions
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.references import store_reference
from mlops_assets.records.rows import sample_of
from mlops_assets.resources import MlflowRegistry, Storage

_MOST_SEGMENTS = 200
"""Rows of the table in the UI; the model itself holds those of all segments."""


class ChallengerConfig(dg.Config):
    """What a person may change for one run in the launchpad."""

    params: dict[str, Any] = Field({}, description="Estimator parameters that replace declared or searched ones.")


def challenger_asset(model: Declaration) -> Asset:
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
        required_resource_keys=resource_keys(model, "mlops_storage", "mlflow_registry"),
        pool=f"{model.name}_training",  # of two runs on the same data, the second reuses the version of the first
    )
    def challenger(
        context: dg.AssetExecutionContext,
        config: ChallengerConfig,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        mlops_storage: Storage = context.resources.mlops_storage
        mlflow_registry: MlflowRegistry = context.resources.mlflow_registry
        step = Step(ModelRecords(model, mlops_storage), mlflow_registry, context)
        trained = train(step, step.upstream_version("training_set"), config.params)
        version = trained.version
        note_fitted(step, version)
        case = open_case(step.records, mlflow_registry, version)
        store_reference(step.records, version, case.train, case.holdout, case.predictions)
        store_segments(step, version, case.fitted, case.train)
        baselines = baseline_predictions(case)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(version.digest), metadata=_metadata(trained, case, baselines, mlflow_registry)
        )
        gates = challenger_gates(case, baselines)
        if reasons(gate for gate in gates if gate.name in CHALLENGER_GATES):  # the run ends: no later step notes it
            note_refused(step, version, gates)
        yield from (check_result(gate, key) for gate in gates)

    return challenger


def _metadata(
    trained: Trained, case: Case, baselines: dict[str, Predictions], registry: MlflowRegistry
) -> dict[str, Any]:
    version, y = trained.version, case.holdout.y.to_numpy()
    figures = {
        name: {metric.name: metric.function(y, predictions) for metric in case.metrics}
        for name, predictions in {"challenger": case.predictions, **baselines}.items()
    }
    return metadata(
        {
            "version": version.version,
            **{f"holdout_{name}": value for name, value in figures["challenger"].items()},
            "against_baselines": [{"model": name, **values} for name, values in figures.items()],
            "params": [{"parameter": name, "value": value} for name, value in trained.params.items()] or None,
            **(_search(trained.trials) if trained.trials else {}),
            **_segments(case.fitted),
            **trained.used.metadata(),
            "mlflow_version": version_link(version, registry),
            "mlflow_run": link("the run with its trials, plots and tags", registry.run_url(version.run_id)),
            "train_rows": len(case.train.y),
            "sample": sample_of(case.train, case.holdout) or None,
            "features": case.train.X.shape[1],
            "digest": version.digest[:16],
            "reused": trained.reused,
        }
    )


def _segments(fitted: Any) -> dict[str, Any]:
    """Return how many segments have a model of their own, and the table of those that were tried; {} for one model."""
    fleet = fleet_of(fitted)
    if fleet is None:
        return {}
    table = segment_table(fleet)
    tried = table[table["adjusted"].notna() | table["adjusted_on_champion"].notna()].head(_MOST_SEGMENTS)
    return {
        "segments": len(table),
        "segments_with_own_model": int((table["model"] == "own").sum()),
        "segments_kept": int(table["kept"].sum()),
        "segments_not_fitted": len(fleet.failed_) or None,
        "segment_models": tried.to_dict("records") or None,
    }


def _search(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return the trials of a search, the best first, with a column of errors if a trial failed; and their plot."""
    any_failed = any(trial.error for trial in trials)
    rows = [
        {
            "trial": trial.number,
            "score": trial.score,
            **trial.params,
            "seconds": trial.seconds,
            **({"error": trial.error or ""} if any_failed else {}),
        }
        for trial in sorted(trials, key=lambda trial: -trial.score)
    ]
    return {"trials": rows, **drawn("search_plot", lambda: image(search_trials(trials), "score of each trial"))}
