"""Estimates of the champion's metric on a batch before its labels are in, and how past estimates turned out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from mlops_assets.assets.shared.metadata import metadata, table
from mlops_assets.decisions.performance import estimated
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.lazy import pd
from mlops_assets.modelling.metrics import metric
from mlops_assets.modelling.predictions import Predictions, predict, predict_in_parts
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.manifests import read_manifest
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import read_holdout
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.text import natural_order

_SHOWN = 10
_BLIND = "It takes the same features to mean the same label as on the holdout: concept drift is not seen"


@dataclass(frozen=True, kw_only=True)
class BatchEstimate:
    """The expected value of a champion's `metric` on all rows of a batch, and later the realised value.

    `content` is from the batch's record. `realised` is the metric on the rows labelled so far, None if there are none.
    """

    KIND: ClassVar[str] = "estimates"

    batch: str
    content: str
    model_version: int
    metric: str
    value: float
    low: float
    high: float
    rows: int
    calibrated_on: int
    realised: float | None = None

    @property
    def held(self) -> bool | None:
        """Return whether the interval contains the realised value; None without a realised value."""
        return None if self.realised is None else self.low <= self.realised <= self.high

    def row(self) -> dict[str, Any]:
        """Return the row of a table of estimates."""
        return {
            "batch": self.batch,
            f"estimated {self.metric}": self.value,
            "low": self.low,
            "high": self.high,
            "realised": self.realised,
            "held": {None: "", True: "yes", False: "no"}[self.held],
            "version": self.model_version,
        }


def estimate_unseen(
    records: ModelRecords, champion: ModelVersion, record: BatchRecord, X: pd.DataFrame, registry: MlflowRegistry
) -> BatchEstimate | str:
    """Return and store the estimate for a batch whose labels are not in, or why there is none ("" for regression)."""
    model = records.model
    stored = _stored(records, champion, record)
    if stored is not None:
        return stored
    try:  # an estimate is an extra: the batch waits for its labels either way, and must not fail
        fitted = registry.load(champion, model.serialization, model.trusted_types)

        def holdout() -> tuple[Any, Predictions]:
            judged = champion.judged
            rows = read_holdout(records, read_manifest(records, judged.data_version))
            version = registry.load(judged, model.serialization, model.trusted_types) if champion.refit_of else fitted
            return rows.y.to_numpy(), predict(version, rows.X)

        return estimate_scored(records, champion, record, holdout, predict_in_parts(fitted, X))
    except MlopsAssetsError as error:
        return str(error)


def estimate_scored(
    records: ModelRecords,
    champion: ModelVersion,
    record: BatchRecord,
    holdout: Callable[[], tuple[Any, Predictions]],
    predictions: Predictions,
) -> BatchEstimate | str:
    """Return and store the estimate for a batch that is scored already, as `estimate_unseen`; its labels are not used.

    holdout: labels of the champion's holdout, and its predictions by the version that was not trained on it.
    """
    if predictions.classes is None:
        return ""
    stored = _stored(records, champion, record)
    if stored is not None:
        return stored
    metric = estimated.estimated_metric(records.model.metrics, len(predictions.classes))
    result = estimated.estimate(metric, *holdout(), predictions)
    if result.note:
        return result.note
    batch_estimate = BatchEstimate(
        batch=record.batch,
        content=record.content,
        model_version=champion.version,
        metric=metric,
        value=result.value,
        low=result.low,
        high=result.high,
        rows=result.rows,
        calibrated_on=result.calibrated_on,
    )
    records.of(BatchEstimate).put(record.batch, batch_estimate)
    return batch_estimate


def realise(
    records: ModelRecords, estimate: BatchEstimate, y: pd.Series[Any], predictions: Predictions
) -> BatchEstimate:
    """Store the metric on the labelled rows beside its estimate."""
    value = float(metric(estimate.metric).function(y.to_numpy(), predictions))
    realised = replace(estimate, realised=value if math.isfinite(value) else None)
    if realised != estimate:
        records.of(BatchEstimate).put(estimate.batch, realised)
    return realised


def estimate_figures(estimate: BatchEstimate | str) -> dict[str, float]:
    """Return the numbers of an estimate to follow over batches; none if there is no estimate."""
    if isinstance(estimate, str):
        return {}
    name = f"estimated_{estimate.metric}"
    return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}


def estimate_metadata(records: ModelRecords, estimate: BatchEstimate | str) -> dict[str, Any]:
    """Return figures, a sentence, and the last estimates beside realised values; the reason if there is no estimate."""
    if isinstance(estimate, str):
        return metadata({"estimated_without_labels": f"no estimate: {estimate}"}) if estimate else {}
    newest = [*_earlier(records, estimate), estimate][-_SHOWN:]
    sentence = estimate_sentence(records, estimate)
    return {
        **metadata({**estimate_figures(estimate), "estimated_without_labels": sentence}),
        "estimates": table(shown.row() for shown in reversed(newest)),
    }


def estimate_sentence(records: ModelRecords, estimate: BatchEstimate) -> str:
    """Return the estimate in words, with its basis and how earlier estimates turned out."""
    earlier = _earlier(records, estimate)
    past = [(other.low, other.high, other.realised) for other in earlier if other.realised is not None]
    warning = "" if estimated.reliable(past) else ", not to be relied on"
    realised = "" if estimate.realised is None else f", realised {estimate.realised:.4g}"
    return (
        f"Estimated without labels{warning}: {estimate.metric} {estimate.value:.4g} ({estimate.low:.4g} to "
        f"{estimate.high:.4g} with 95% confidence{realised}), by the probabilities of version "
        f"{estimate.model_version}, calibrated on {estimate.calibrated_on:,} rows of its holdout; "
        f"{estimated.coverage(past)}. {_BLIND}"
    )


def _earlier(records: ModelRecords, estimate: BatchEstimate) -> Sequence[BatchEstimate]:
    """Return the estimates of the same metric, of any champion, on earlier batches, in order of their batches."""
    stored = [other for other in records.of(BatchEstimate).all().values() if other.metric == estimate.metric]
    here = natural_order(estimate.batch)
    before = [other for other in stored if natural_order(other.batch) < here]
    return sorted(before, key=lambda other: natural_order(other.batch))


def _stored(records: ModelRecords, champion: ModelVersion, record: BatchRecord) -> BatchEstimate | None:
    """Return the stored estimate of these rows for this champion, perhaps made before their labels were in."""
    estimate = records.of(BatchEstimate).get(record.batch)
    if estimate is None or (estimate.content, estimate.model_version) != (record.content, champion.version):
        return None
    return estimate
