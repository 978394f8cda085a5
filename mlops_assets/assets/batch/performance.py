"""`performance`: how the champion does on each batch whose labels are in."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from mlops_assets.assets.batch.estimate import (
    BatchEstimate,
    estimate_metadata,
    estimate_scored,
    estimate_sentence,
    estimate_unseen,
    realise,
)
from mlops_assets.assets.batch.report import PageConfig, record_report, unknown, with_page
from mlops_assets.assets.shared.drawing import drawn
from mlops_assets.assets.shared.keys import asset_key, check_specs, model_asset
from mlops_assets.assets.shared.metadata import check_result, metadata, table
from mlops_assets.assets.shared.sparklines import MOST_POINTS, trend
from mlops_assets.assets.training.gates import Case, open_case
from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.performance.decay import Decay, decay, insufficient_labels
from mlops_assets.declaration import Declaration
from mlops_assets.lazy import pd
from mlops_assets.modelling.metrics import Metric
from mlops_assets.modelling.predictions import Predictions, predict
from mlops_assets.modelling.problem import Problem
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.labels import unusable_outcomes
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.reports import ReportKind
from mlops_assets.records.rows import next_label_at, read_labelled
from mlops_assets.resources.evidently_pages import PREDICTION, TARGET, performance_page
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.resources.storage import Storage
from mlops_assets.text import natural_order

KIND: ReportKind = "performance"


def performance_asset(model: Declaration) -> dg.AssetsDefinition:
    """Return the asset `performance`: metrics of each batch once its labels are in."""
    key = asset_key(model.name, "performance")

    @model_asset(
        model,
        "performance",
        kinds={"scikitlearn", "evidently"},
        code_version="1",
        deps=[asset_key(model.name, "predictions"), *_labels_dep(model)],
        description=f"Metrics of the champion of {model.name} on each batch, beside those on its own holdout.",
        check_specs=check_specs(
            model.name, "performance", {"no_decay": "No worse than on the holdout."}, blocking=False
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
            reason = "there is no champion yet to be measured"
            record_report(context, records, KIND, record, None, "no champion", reason)
            yield check_result(unknown("no_decay", reason), key)
            return
        X, y = read_labelled(records, record)
        again_at = next_label_at(records, record)
        labelled = y.notna().to_numpy()
        share = {"rows": int(labelled.sum()), "labelled_share": float(labelled.mean())}
        insufficient = _insufficient(records, record, int(labelled.sum()))
        if insufficient is not None:
            made = estimate_unseen(records, champion, record, X, mlflow_registry)
            figures, said = {**share, **_figures(made)}, ("insufficient labels", insufficient)
            record_report(context, records, KIND, record, champion.version, *said, figures, again_at)
            estimated = estimate_metadata(records, made)
            yield dg.MaterializeResult(metadata={**_waiting_metadata(champion, insufficient, share), **estimated})
            yield check_result(unknown("no_decay", _with_estimate(records, insufficient, made)), key)
            return
        case = open_case(records, mlflow_registry, champion)
        judged, made = _judge(records, case, record, X, y)
        figures, said = (
            {**judged.figures(), **share, **_figures(made)},
            (judged.found.verdict, judged.found.reason),
        )
        record_report(context, records, KIND, record, champion.version, *said, figures, again_at)
        shown = {
            **_performance_metadata(context, judged, share),
            **estimate_metadata(records, made),
        }
        name = f"performance/{context.partition_key}.html"
        alarm = judged.found.verdict == "decay"
        shown |= with_page(model, config, alarm, champion, name, lambda: judged.page(model.seed), mlflow_registry)
        yield dg.MaterializeResult(metadata=shown)
        yield check_result(_decay_check(judged.found), key)

    return performance


def _labels_dep(model: Declaration) -> list[dg.AssetDep]:
    """Return the dependency on outcomes: any batch of outcomes may hold labels of any batch of rows."""
    if model.outcomes is None:
        return []
    return [dg.AssetDep(asset_key(model.name, "outcomes"), partition_mapping=dg.AllPartitionMapping())]


@dataclass(frozen=True)
class _Judged:
    """The champion's results on a batch: every metric `here`, and `then`, on its own holdout."""

    case: Case
    y: "pd.Series"
    said: "Predictions"
    found: "Decay"
    here: Mapping[str, float]
    then: Mapping[str, float]

    @property
    def first(self) -> str:
        """Return the name of the metric that decides."""
        return self.case.metrics[0].name

    def figures(self) -> dict[str, float]:
        """Return the first metric on the batch and on the holdout, where it is defined."""
        both = {self.first: self.here[self.first], f"holdout_{self.first}": self.then[self.first]}
        return {name: figure for name, figure in both.items() if math.isfinite(figure)}

    def page(self, seed: int) -> str:
        """Return Evidently's page of both sides."""

        sides = (_side(self.case.holdout.y, self.case.predictions), _side(self.y, self.said))
        return performance_page(self.case.problem, *sides, seed)


def _judge(
    records: ModelRecords, case: Case, record: BatchRecord, X: "pd.DataFrame", y: "pd.Series"
) -> "tuple[_Judged, BatchEstimate | str]":
    """Judge the labelled rows of a batch; also return the estimate for all its rows, made without their labels."""

    of_all, labelled = predict(case.fitted, X), y.notna().to_numpy()
    made = estimate_scored(records, case.version, record, lambda: (case.holdout.y, case.predictions), of_all)
    said, y, loss = of_all.take(labelled), y[labelled], judged_loss(case.metrics, case.problem)
    if isinstance(made, BatchEstimate):
        made = realise(records, made, y, said)
    found = decay(
        loss.of_rows(case.holdout.y.to_numpy(), case.predictions),
        loss.of_rows(y.to_numpy(), said),
        loss.name,
        loss.from_mean,
        remark=loss.instead_of,
    )
    here = {metric.name: metric.function(y.to_numpy(), said) for metric in case.metrics}
    then = {metric.name: metric.function(case.holdout.y.to_numpy(), case.predictions) for metric in case.metrics}
    return _Judged(case, y, said, found, here, then), made


@dataclass(frozen=True)
class JudgedLoss:
    """The row losses that decay is computed from and, if they are not the first metric's, the reason."""

    name: str
    of_rows: Callable[[Any, "Predictions"], Any]
    from_mean: Callable[[Any], Any]
    instead_of: str = ""


def judged_loss(metrics: "Sequence[Metric]", problem: "Problem") -> JudgedLoss:
    """Return the loss of the first metric that is a mean over rows; else squared errors or wrong labels."""
    first = metrics[0]
    chosen = next((each for each in metrics if each.row_loss is not None), None)
    if chosen is not None and chosen.row_loss is not None:
        why = "" if chosen is first else f"Judged by {chosen.name}, since {first.name} is no mean over rows"
        return JudgedLoss(chosen.name, chosen.row_loss, chosen.from_mean, why)
    name = "mean squared error" if problem == "regression" else "share of wrong labels"
    why = f"Judged by the {name}, since {first.name} is no mean over rows"
    return JudgedLoss(name, _squared_or_wrong, lambda mean: mean, why)


def _squared_or_wrong(y: Any, said: "Predictions") -> Any:
    return (y - said.value) ** 2 if said.classes is None else (y != said.value).astype(float)


def _figures(made: BatchEstimate | str) -> dict[str, float]:
    return {} if isinstance(made, str) else made.figures()


def _with_estimate(records: ModelRecords, reason: str, made: BatchEstimate | str) -> str:
    return reason if isinstance(made, str) else f"{reason}. {estimate_sentence(records, made)}"


def _insufficient(records: ModelRecords, record: BatchRecord, labelled: int) -> str | None:
    """Return why the batch cannot be judged yet, with why outcomes are not used; None if it can be judged."""

    later = records.model.outcomes is not None
    reason = insufficient_labels(labelled, record.rows, records.model.label_share if later else None)
    if reason is None or not later:
        return reason
    unusable = unusable_outcomes(records, record.batch)
    return "; ".join([reason, *(f"outcomes {batch!r} are not used: {why}" for batch, why in unusable.items())])


def _waiting_metadata(champion: ModelVersion, reason: str, share: Mapping[str, float]) -> dict[str, Any]:
    """Return what is known while labels come in; the labelled share is a number, so that it can be followed."""
    return metadata({"verdict": "insufficient labels", "reason": reason, **share, "model_version": champion.version})


def _performance_metadata(
    context: dg.AssetExecutionContext, judged: _Judged, share: Mapping[str, float]
) -> dict[str, Any]:
    here, then, first = judged.here, judged.then, judged.first
    return {
        **metadata({"verdict": judged.found.verdict, "reason": judged.found.reason}),
        **drawn("trend", lambda: _trend(context, first, here[first], then[first])),
        **metadata(here),
        "metrics": table({"metric": name, "batch": here[name], "holdout": then[name]} for name in here),
        **metadata({**share, "model_version": judged.case.version.version}),
    }


def _trend(context: dg.AssetExecutionContext, metric: str, here: float, holdout: float) -> dg.MarkdownMetadataValue:
    """Return a plot of the metric over this batch and earlier ones, each as last measured."""

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


def _side(y: "pd.Series", said: "Predictions") -> "pd.DataFrame":

    return pd.DataFrame({TARGET: y.to_numpy(), PREDICTION: said.value})
