"""`performance`: how the champion does on each batch whose labels are in."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import dagster as dg

from mlops_assets.assets.batch.estimate import (
    BatchEstimate,
    estimate_figures,
    estimate_metadata,
    estimate_scored,
    estimate_sentence,
    estimate_unseen,
    realise,
)
from mlops_assets.assets.batch.report import PageConfig, no_champion, record_report, unknown, with_page
from mlops_assets.assets.batch.segments import Watched, segment_checks, watch_decay
from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.keys import asset_key, check_specs
from mlops_assets.assets.shared.metadata import check_results, metadata, table
from mlops_assets.assets.shared.model_asset import Asset, model_asset
from mlops_assets.assets.shared.sparklines import MOST_POINTS, trend
from mlops_assets.assets.training.gates import Case, open_case
from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.performance.decay import Decay, decay, insufficient_labels
from mlops_assets.declaration import Declaration
from mlops_assets.lazy import pd
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions, predict_in_parts
from mlops_assets.modelling.problem import Problem
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.labels import unusable_outcomes
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import next_label_at, read_labelled
from mlops_assets.resources import MlflowRegistry, Storage
from mlops_assets.resources.evidently_pages import PREDICTION, TARGET, performance_page
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.text import natural_order


def performance_asset(model: Declaration) -> Asset:
    """Return the asset `performance`: metrics of each batch once its labels are in."""
    key, of_segments = asset_key(model.name, "performance"), segment_checks(model, "decay")

    @model_asset(
        model,
        "performance",
        kinds={"scikitlearn", "evidently"},
        code_version="1",
        deps=[asset_key(model.name, "predictions"), *_labels_dep(model)],
        description=f"Metrics of the champion of {model.name} on each batch, beside those on its own holdout.",
        check_specs=check_specs(
            model.name, "performance", {"no_decay": "No worse than on the holdout.", **of_segments}, blocking=False
        ),
        output_required=False,
    )
    def performance(
        context: dg.AssetExecutionContext, config: PageConfig, mlops_storage: Storage, mlflow_registry: MlflowRegistry
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[Any]]:
        records = ModelRecords(model, mlops_storage)
        record = records.batches.accepted(context.partition_key)
        champion = records.champion
        if champion is None:
            reason = no_champion(context, records, "performance", record)
            yield from check_results((unknown(name, reason) for name in ("no_decay", *of_segments)), key)
            return
        shown, outcomes = _measured(context, config, records, record, champion, mlflow_registry)
        yield dg.MaterializeResult(metadata=shown)
        yield from check_results(outcomes, key)

    return performance


def _measured(
    context: dg.AssetExecutionContext,
    config: PageConfig,
    records: ModelRecords,
    record: BatchRecord,
    champion: ModelVersion,
    registry: MlflowRegistry,
) -> tuple[dict[str, Any], list[CheckOutcome]]:
    """Measure the champion on a batch, or estimate it without labels, and record it; return metadata and checks."""
    note = partial(record_report, context, records, "performance", record, champion.version)
    again_at = next_label_at(records, record)  # asked first, so that no label becomes known unnoticed
    rows = read_labelled(records, record)
    X, y = rows.X, rows.y
    share = {"rows": rows.labelled, "labelled_share": rows.labelled / rows.rows}
    waits_for = _insufficient(records, record, rows.labelled)
    if waits_for is not None:
        estimate = estimate_unseen(records, champion, record, X, registry)
        note("insufficient labels", waits_for, {**share, **estimate_figures(estimate)}, again_at)
        values = {"verdict": "insufficient labels", "reason": waits_for, **share, "model_version": champion.version}
        sentence = "" if isinstance(estimate, str) else f". {estimate_sentence(records, estimate)}"
        shown = {**metadata(values), **estimate_metadata(records, estimate)}
        checks = [unknown("no_decay", f"{waits_for}{sentence}")]
        return shown, [*checks, *(unknown(name, waits_for) for name in segment_checks(records.model, "decay"))]
    result, estimate = _judge(records, open_case(records, registry, champion), record, X, y)
    verdict, reason = result.decay.verdict, result.decay.reason
    figures = {**result.figures(), **share, **result.segments.figures, **estimate_figures(estimate)}
    note(verdict, reason, figures, again_at)
    shown = {**_result_metadata(context, result, share), **estimate_metadata(records, estimate)}
    shown |= metadata({"measured_on": rows.sample or None})
    name, alarm = f"performance/{record.batch}.html", verdict == "decay"
    seed = records.model.seed
    shown |= with_page(records.model, config, alarm, champion, name, lambda: result.page(seed), registry)
    outcome = CheckOutcome("no_decay", verdict == "no decay", reason, severity="warn", blocking=False)
    return shown, [outcome, *result.segments.outcomes]


def _labels_dep(model: Declaration) -> list[dg.AssetDep]:
    """Return the dependency on outcomes: any batch of outcomes may hold labels of any batch of rows."""
    if model.outcomes is None:
        return []
    return [dg.AssetDep(asset_key(model.name, "outcomes"), partition_mapping=dg.AllPartitionMapping())]


@dataclass(frozen=True, kw_only=True)
class _Result:
    """The champion's results on the labelled rows of a batch: every metric on them, and on its own holdout."""

    case: Case
    y: "pd.Series[Any]"
    predictions: Predictions
    decay: Decay
    on_batch: Mapping[str, float]
    on_holdout: Mapping[str, float]
    segments: Watched

    @property
    def first(self) -> str:
        """Return the name of the metric that decides."""
        return self.case.metrics[0].name

    def figures(self) -> dict[str, float]:
        """Return the first metric on the batch and on the holdout, where it is defined."""
        first = {self.first: self.on_batch[self.first], f"holdout_{self.first}": self.on_holdout[self.first]}
        return {name: figure for name, figure in first.items() if math.isfinite(figure)}

    def page(self, seed: int) -> str:
        """Return Evidently's page of holdout and batch."""
        holdout = {TARGET: self.case.holdout.y.to_numpy(), PREDICTION: self.case.predictions.value}
        batch = {TARGET: self.y.to_numpy(), PREDICTION: self.predictions.value}
        return performance_page(self.case.problem, pd.DataFrame(holdout), pd.DataFrame(batch), seed)


def _judge(
    records: ModelRecords, case: Case, record: BatchRecord, X: "pd.DataFrame", y: "pd.Series[Any]"
) -> tuple[_Result, BatchEstimate | str]:
    """Judge the labelled rows of a batch; also return the estimate for all its rows, made without their labels."""
    holdout = (case.holdout.y.to_numpy(), case.predictions)
    all_rows, labelled = predict_in_parts(case.fitted, X), y.notna().to_numpy()
    estimate = estimate_scored(records, case.version, record, lambda: holdout, all_rows)
    predictions, y = all_rows.take(labelled), y[labelled]
    if isinstance(estimate, BatchEstimate):
        estimate = realise(records, estimate, y, predictions)
    batch = (y.to_numpy(), predictions)
    result = _Result(
        case=case,
        y=y,
        predictions=predictions,
        decay=row_loss(case.metrics, case.problem).decay(holdout, batch),
        on_batch={metric.name: metric.function(*batch) for metric in case.metrics},
        on_holdout={metric.name: metric.function(*holdout) for metric in case.metrics},
        segments=watch_decay(records, case, record, X[labelled], batch[0], predictions),
    )
    return result, estimate


@dataclass(frozen=True)
class RowLoss:
    """The row losses that decay is computed from and, if they are not the first metric's, a remark with the reason."""

    name: str
    of_rows: Callable[[Any, Predictions], Any]
    from_mean: Callable[[Any], Any]
    remark: str = ""

    def decay(self, holdout: tuple[Any, Predictions], batch: tuple[Any, Predictions]) -> Decay:
        """Compare the batch with the holdout, each given as labels and predictions."""
        losses = (self.of_rows(*holdout), self.of_rows(*batch))
        return decay(*losses, self.name, self.from_mean, remark=self.remark)


def row_loss(metrics: Sequence[Metric], problem: Problem) -> RowLoss:
    """Return the loss of the first metric that is a mean over rows; else squared errors or wrong labels."""
    first = metrics[0]
    for metric in metrics:
        if metric.row_loss is not None:
            remark = "" if metric is first else f"Judged by {metric.name}, since {first.name} is not a mean over rows"
            return RowLoss(metric.name, metric.row_loss, metric.from_mean, remark)
    name = "mean squared error" if problem == "regression" else "share of wrong labels"
    remark = f"Judged by the {name}, since {first.name} is not a mean over rows"
    return RowLoss(name, _squared_or_wrong, lambda mean: mean, remark)


def _squared_or_wrong(y: Any, predictions: Predictions) -> Any:
    return (y - predictions.value) ** 2 if predictions.classes is None else (y != predictions.value).astype(float)


def _insufficient(records: ModelRecords, record: BatchRecord, labelled: int) -> str | None:
    """Return why the batch cannot be judged yet, with why outcomes are not used; None if it can be judged."""
    later = records.model.outcomes is not None
    reason = insufficient_labels(labelled, record.rows, records.model.label_share if later else None)
    if reason is None or not later:
        return reason
    unusable = unusable_outcomes(records, record.batch)
    return "; ".join([reason, *(f"outcomes {batch!r} are not used: {why}" for batch, why in unusable.items())])


def _result_metadata(context: dg.AssetExecutionContext, result: _Result, share: Mapping[str, float]) -> dict[str, Any]:
    batch, holdout, first = result.on_batch, result.on_holdout, result.first
    return {
        **metadata({"verdict": result.decay.verdict, "reason": result.decay.reason}),
        **drawn("trend", lambda: _trend(context, first, batch[first], holdout[first])),
        **metadata(batch),
        "metrics": table({"metric": name, "batch": batch[name], "holdout": holdout[name]} for name in batch),
        **metadata({**share, "model_version": result.case.version.version}),
        **result.segments.shown,
    }


def _trend(context: dg.AssetExecutionContext, metric: str, value: float, holdout: float) -> dg.MarkdownMetadataValue:
    """Return a plot of the metric over this batch and earlier ones, each as last measured."""
    measured = {context.partition_key: value}
    for record in context.instance.fetch_materializations(context.asset_key, limit=2 * MOST_POINTS).records:
        before = record.asset_materialization
        if before is not None and before.partition and isinstance(before.metadata.get(metric), dg.FloatMetadataValue):
            measured.setdefault(before.partition, float(before.metadata[metric].value or 0.0))
    ordered = sorted(measured, key=natural_order)
    keys = ordered[: ordered.index(context.partition_key) + 1]
    caption = f"{metric} over {len(keys)} batches to {context.partition_key}; dashed: on the holdout"
    return trend([measured[key] for key in keys], holdout, caption)
