"""`drift`: each batch against the rows that the champion was trained on."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.assets.keys import asset_key, check_specs, model_asset
from mlops_assets.assets.metadata import check_result, metadata, table
from mlops_assets.assets.reports import PageConfig, batch_rows, record_report, unknown, with_page
from mlops_assets.checks import CheckOutcome
from mlops_assets.declaration import Declaration
from mlops_assets.resources.batch_ledger import BatchLedger
from mlops_assets.resources.champion_record import champion_in_force
from mlops_assets.resources.mlflow_registry import MlflowRegistry
from mlops_assets.resources.model_version import ModelVersion
from mlops_assets.resources.storage import Storage

if TYPE_CHECKING:
    from mlops_assets.decisions.drift import DriftReport


def drift_asset(model: Declaration) -> dg.AssetsDefinition:
    """Each batch against the champion's training rows."""
    key = asset_key(model.name, "drift")

    @model_asset(
        model,
        "drift",
        kinds={"scipy", "evidently"},
        code_version="1",
        batch=True,
        deps=[asset_key(model.name, "features"), asset_key(model.name, "champion")],
        description=f"Features of each batch against those that the champion of {model.name} was trained on.",
        check_specs=check_specs(model.name, "drift", {"no_drift": "No feature drifted."}, blocking=False),
        output_required=False,
    )
    def drift(
        context: dg.AssetExecutionContext, config: PageConfig, mlops_storage: Storage, mlflow_registry: MlflowRegistry
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        from mlops_assets.decisions.drift import drift as decide_drift

        record = BatchLedger(mlops_storage, model.name).accepted(context.partition_key)
        note = partial(record_report, context, mlops_storage, model, "drift", record)
        champion = champion_in_force(mlflow_registry, mlops_storage, model.name)
        if champion is None:
            why = f"{model.name} has no champion yet: nothing to hold {record.batch!r} against"
            context.log.info(why)
            note(None, "no champion", why)
            yield check_result(unknown("no_drift", "there is no champion yet to hold the batch against"), key)
            return
        X, _ = batch_rows(model, context.partition_key, mlops_storage)
        training_set = champion.tags["data_version"]
        reference = mlops_storage.read_frame(model.name, "reference", "training", training_set)
        features = [name for name in reference.columns if name != model.target]
        report = decide_drift(reference, X, features, model.drift.alpha, model.drift.min_effect)
        shown = _drift_metadata(report, champion)

        def draw() -> str:
            from mlops_assets.resources.evidently_pages import drift_page

            return drift_page(reference, X, features, model.seed)

        alarm = report.verdict == "drift"
        shown |= with_page(model, config, alarm, champion, f"drift/{context.partition_key}.html", draw, mlflow_registry)
        outcome = _drift_check(report)
        drifted = sum(feature.verdict == "drift" for feature in report.features)
        figures = {"share_drifted": report.share, "drifted_features": drifted}
        note(champion.version, report.verdict, outcome.message, figures)
        yield dg.MaterializeResult(metadata=shown)
        yield check_result(outcome, key)

    return drift


def _drift_metadata(report: "DriftReport", champion: ModelVersion) -> dict[str, Any]:
    drifted = [feature.feature for feature in report.features if feature.verdict == "drift"]
    return {
        **metadata(
            {
                "verdict": report.verdict,
                "drifted": ", ".join(drifted)[:500] or "none",
                "drifted_features": len(drifted),
                "share_drifted": report.share,
                "rows": report.rows_batch,
                "reference_rows": report.rows_reference,
                "model_version": champion.version,
            }
        ),
        "features": table(_in_order(row) for row in report.table()),
    }


def _in_order(row: Mapping[str, Any]) -> dict[str, Any]:
    """A feature's drift with its verdict before the way to it."""
    first = {"feature": row["feature"], "verdict": row["verdict"], "effect": row["effect"], "p": row["p_adjusted"]}
    return first | {"test": row["test"], "note": row["note"]}


def _drift_check(report: "DriftReport") -> CheckOutcome:
    wanted = [feature for feature in report.features if feature.verdict == report.verdict]
    named = ", ".join(f"{feature.feature} (effect {feature.effect:.2g})" for feature in wanted[:8])
    if report.verdict == "no drift":
        message = f"none of {len(report.features)} features drifted over {report.rows_batch:,} rows"
    else:
        message = f"{report.verdict}: {len(wanted)} of {len(report.features)} features: {named}"
    return CheckOutcome("no_drift", report.verdict == "no drift", message, severity="warn", blocking=False)
