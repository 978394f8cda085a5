"""`performance`: how the champion does on each batch whose labels are in."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from mlops_assets.assets.judging import Case, open_case
from mlops_assets.assets.keys import asset_key, check_specs, model_asset
from mlops_assets.assets.metadata import check_result, metadata, table
from mlops_assets.assets.reports import PageConfig, batch_rows, unknown, with_page
from mlops_assets.assets.sparklines import MOST_POINTS, trend
from mlops_assets.checks import CheckOutcome
from mlops_assets.declaration import Declaration
from mlops_assets.resources.champion_record import champion_in_force
from mlops_assets.resources.mlflow_registry import MlflowRegistry
from mlops_assets.resources.storage import Storage

if TYPE_CHECKING:
    import pandas as pd

    from mlops_assets.decisions.decay import Decay
    from mlops_assets.modelling.predictions import Predictions


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
        champion = champion_in_force(mlflow_registry, mlops_storage, model.name)
        if champion is None:
            yield check_result(unknown("no_decay", "there is no champion yet to be measured"), key)
            return
        X, y = batch_rows(model, context.partition_key, mlops_storage)
        labelled = y.notna().to_numpy()
        if not labelled.any():
            yield check_result(unknown("no_decay", f"insufficient labels: none of {len(y):,} rows has one yet"), key)
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
        shown |= with_page(model, config, alarm, champion, name, draw, mlflow_registry)
        yield dg.MaterializeResult(metadata=shown)
        yield check_result(_decay_check(found), key)

    return performance


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
