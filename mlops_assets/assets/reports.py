"""`drift` and `performance`: how the champion fares on each batch: one decision each, and a page for people."""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from mlops_assets.assets.judging import Case, open_case
from mlops_assets.assets.keys import asset_key, check_specs, model_asset
from mlops_assets.assets.metadata import check_result, link, metadata, table
from mlops_assets.assets.sparklines import MOST_POINTS, trend
from mlops_assets.checks import CheckOutcome
from mlops_assets.declaration import Declaration
from mlops_assets.resources.batch_ledger import BatchLedger
from mlops_assets.resources.mlflow_registry import MlflowRegistry
from mlops_assets.resources.model_version import ModelVersion
from mlops_assets.resources.storage import Storage
from mlops_assets.resources.training_rows import read_batch, time_order

if TYPE_CHECKING:
    import pandas as pd

    from mlops_assets.decisions.decay import Decay
    from mlops_assets.decisions.drift import DriftReport
    from mlops_assets.modelling.predictions import Predictions


class PageConfig(dg.Config):
    """What a person may ask for in the launchpad."""

    page: bool = Field(False, description="Let Evidently draw its page of this batch, whatever the decision.")


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

        champion = mlflow_registry.champion(model.name)
        if champion is None:
            context.log.info(f"{model.name} has no champion yet: nothing to hold {context.partition_key!r} against")
            yield check_result(_unknown("no_drift", "there is no champion yet to hold the batch against"), key)
            return
        X, _ = _batch(model, context.partition_key, mlops_storage)
        training_set = champion.tags["data_version"]
        reference = mlops_storage.read_frame(model.name, "reference", "training", training_set)
        features = [name for name in reference.columns if name != model.target]
        report = decide_drift(reference, X, features, model.drift.alpha, model.drift.min_effect)
        shown = _drift_metadata(report, champion)

        def draw() -> str:
            from mlops_assets.resources.evidently_pages import drift_page

            return drift_page(reference, X, features, model.seed)

        alarm = report.verdict == "drift"
        shown |= _page(model, config, alarm, champion, f"drift/{context.partition_key}.html", draw, mlflow_registry)
        yield dg.MaterializeResult(metadata=shown)
        yield check_result(_drift_check(report), key)

    return drift


def performance_asset(model: Declaration) -> dg.AssetsDefinition:
    """Metrics of each batch once its labels are in."""
    key = asset_key(model.name, "performance")

    @model_asset(
        model,
        "performance",
        kinds={"scikitlearn", "evidently"},
        code_version="1",
        batch=True,
        deps=[asset_key(model.name, "predictions")],
        description=f"Metrics of the champion of {model.name} on each batch, beside those on its own holdout.",
        check_specs=check_specs(
            model.name, "performance", {"no_decay": "No worse than on the holdout."}, blocking=False
        ),
        output_required=False,
    )
    def performance(
        context: dg.AssetExecutionContext, config: PageConfig, mlops_storage: Storage, mlflow_registry: MlflowRegistry
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        champion = mlflow_registry.champion(model.name)
        if champion is None:
            yield check_result(_unknown("no_decay", "there is no champion yet to be measured"), key)
            return
        X, y = _batch(model, context.partition_key, mlops_storage)
        labelled = y.notna().to_numpy()
        if not labelled.any():
            yield check_result(_unknown("no_decay", f"insufficient labels: none of {len(y):,} rows has one yet"), key)
            return
        case = open_case(model, champion, mlops_storage, mlflow_registry)
        X, y = X[labelled], y[labelled]
        said, found = _decay(case, X, y)
        shown = _performance_metadata(context, case, y, said, found)

        def draw() -> str:
            from mlops_assets.resources.evidently_pages import performance_page

            sides = (_judged(case.holdout.y, case.predictions), _judged(y, said))
            return performance_page(case.problem, *sides, model.seed)

        alarm = found.verdict == "decay"
        name = f"performance/{context.partition_key}.html"
        shown |= _page(model, config, alarm, champion, name, draw, mlflow_registry)
        yield dg.MaterializeResult(metadata=shown)
        yield check_result(_decay_check(found), key)

    return performance


def _batch(model: Declaration, batch: str, storage: Storage) -> "tuple[pd.DataFrame, pd.Series]":
    """Features and target of a batch, in order of time where rows have one: rows near in time resemble each other."""
    record = BatchLedger(storage, model.name).accepted(batch)
    X, about = read_batch(storage, model, record.batch, str(record.version), str(record.features))
    order = time_order(about[model.time]) if model.time else slice(None)
    return X.iloc[order], about[model.target].iloc[order]


def _unknown(name: str, message: str) -> CheckOutcome:
    """Not knowing is never a pass."""
    return CheckOutcome(name, False, message, severity="warn", blocking=False)


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


def _decay(case: Case, X: "pd.DataFrame", y: "pd.Series") -> "tuple[Predictions, Decay]":
    from mlops_assets.decisions.decay import decay
    from mlops_assets.modelling.predictions import predict

    said = predict(case.fitted, X)
    metric = next((each for each in case.metrics if each.row_loss is not None), case.metrics[0])
    loss = metric.row_loss or _squared_or_wrong
    found = decay(
        loss(case.holdout.y.to_numpy(), case.predictions),
        loss(y.to_numpy(), said),
        metric.name,
        metric.from_mean,
    )
    return said, found


def _squared_or_wrong(y: Any, said: "Predictions") -> Any:
    """Row losses where no declared metric has any: squared error, or 1 for a wrong label."""
    return (y - said.value) ** 2 if said.classes is None else (y != said.value).astype(float)


def _performance_metadata(
    context: dg.AssetExecutionContext, case: Case, y: "pd.Series", said: "Predictions", found: "Decay"
) -> dict[str, Any]:
    here = {metric.name: metric.function(y.to_numpy(), said) for metric in case.metrics}
    then = {metric.name: metric.function(case.holdout.y.to_numpy(), case.predictions) for metric in case.metrics}
    first = case.metrics[0].name
    return {
        **metadata({"verdict": found.verdict, "reason": found.reason}),
        "trend": _trend(context, first, here[first], then[first]),
        **metadata(here),
        "metrics": table({"metric": name, "batch": here[name], "holdout": then[name]} for name in here),
        **metadata({"rows": len(y), "model_version": case.version.version}),
    }


def _trend(context: dg.AssetExecutionContext, metric: str, here: float, holdout: float) -> dg.MarkdownMetadataValue:
    """The metric over this batch and those before it, each as it was measured last."""
    from mlops_assets.sources.batches import natural_order

    measured = {context.partition_key: here}
    for record in context.instance.fetch_materializations(context.asset_key, limit=2 * MOST_POINTS).records:
        before = record.asset_materialization
        if before is not None and before.partition and isinstance(before.metadata.get(metric), dg.FloatMetadataValue):
            measured.setdefault(before.partition, float(before.metadata[metric].value or 0.0))
    keys = sorted(
        (key for key in measured if natural_order(key) <= natural_order(context.partition_key)), key=natural_order
    )
    caption = f"{metric} over {len(keys)} batches to {context.partition_key}; dashed: on the holdout"
    return trend([measured[key] for key in keys], holdout, caption)


def _decay_check(found: "Decay") -> CheckOutcome:
    return CheckOutcome("no_decay", found.verdict == "no decay", found.reason, severity="warn", blocking=False)


def _judged(y: "pd.Series", said: "Predictions") -> "pd.DataFrame":
    import pandas as pd

    from mlops_assets.resources.evidently_pages import PREDICTION, TARGET

    return pd.DataFrame({TARGET: y.to_numpy(), PREDICTION: said.value})


def _page(
    model: Declaration,
    config: PageConfig,
    alarm: bool,
    champion: ModelVersion,
    name: str,
    draw: Callable[[], str],
    registry: MlflowRegistry,
) -> dict[str, Any]:
    """Draw Evidently's page if declared or asked for, keep it with the champion's MLflow run, and link it."""
    wanted = config.page or model.pages == "always" or (alarm and model.pages == "on_alarm")
    if not wanted:
        asked = "not drawn, as there is no alarm; materialise with `page: true` in the launchpad to have it"
        return {"page": dg.MetadataValue.md(asked)}
    registry.log_bytes(champion.run_id, name, draw().encode())
    return {"page": link(f"Evidently's page {name}", registry.artifact_url(champion.run_id, name))}
