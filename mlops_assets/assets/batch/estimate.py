"""Estimates of the champion's metric on a batch before its labels are in, and how past estimates turned out."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from mlops_assets.assets.shared.metadata import metadata, table
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.lazy import pd
from mlops_assets.modelling.metrics import metric
from mlops_assets.modelling.predictions import Predictions, predict
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import read_holdout, read_manifest
from mlops_assets.records.typed import Records
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry
from mlops_assets.text import natural_order

_FOLDER = "estimates"
_SHOWN = 10
_BLIND = "It takes the same features to mean the same label as on the holdout: concept drift is not seen"


@dataclass(frozen=True)
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

    def figures(self) -> dict[str, float]:
        """Return numbers to follow over batches."""
        name = f"estimated_{self.metric}"
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def estimate_unseen(
    records: ModelRecords,
    champion: ModelVersion,
    record: BatchRecord,
    X: "pd.DataFrame",
    registry: MlflowRegistry,
) -> BatchEstimate | str:
    """Return and store the estimate for a batch whose labels are not in, or why there is none ("" for regression)."""

    model = records.model
    kept = _kept(records, champion, record)
    if kept is not None:
        return kept
    try:  # an estimate is an extra: the batch waits for its labels either way, and must not fail
        fitted = registry.load(champion, model.serialization, model.trusted_types)
        said = predict(fitted, X)

        def of_holdout() -> "tuple[pd.Series, Predictions]":
            judged = champion.judged
            holdout = read_holdout(records, read_manifest(records, judged.data_version))
            had = registry.load(judged, model.serialization, model.trusted_types) if champion.refit_of else fitted
            return holdout.y, predict(had, holdout.X)

        return estimate_scored(records, champion, record, of_holdout, said)
    except MlopsAssetsError as error:
        return str(error)


def estimate_scored(
    records: ModelRecords,
    champion: ModelVersion,
    record: BatchRecord,
    of_holdout: "Callable[[], tuple[pd.Series, Predictions]]",
    said: "Predictions",
) -> BatchEstimate | str:
    """Return and store the estimate for a batch that is scored already, as `estimate_unseen`; its labels are not used.

    of_holdout: labels of the champion's holdout, and its predictions by the version that was not trained on it.
    """
    from mlops_assets.decisions.performance.estimated import estimate, estimated_metric

    if said.classes is None:
        return ""
    kept = _kept(records, champion, record)
    if kept is not None:
        return kept
    metric = estimated_metric(records.model.metrics, len(said.classes))
    y, unseen = of_holdout()
    found = estimate(metric, y.to_numpy(), unseen, said)
    if found.note:
        return found.note
    about = (record.batch, record.content, champion.version)
    made = BatchEstimate(*about, metric, found.value, found.low, found.high, found.rows, found.calibrated_on)
    _keep(records, made)
    return made


def realise(records: ModelRecords, made: BatchEstimate, y: "pd.Series", said: "Predictions") -> BatchEstimate:
    """Store the metric on the labelled rows beside its estimate."""

    value = float(metric(made.metric).function(y.to_numpy(), said))
    known = replace(made, realised=value if math.isfinite(value) else None)
    if known != made:
        _keep(records, known)
    return known


def estimate_metadata(records: ModelRecords, made: BatchEstimate | str) -> dict[str, Any]:
    """Return figures, a sentence, and the last estimates beside realised values; the reason if there is no estimate."""
    if isinstance(made, str):
        return metadata({"estimated_without_labels": f"no estimate: {made}"}) if made else {}
    past = _up_to(records, made)
    return {
        **metadata({**made.figures(), "estimated_without_labels": estimate_sentence(records, made)}),
        "estimates": table(_row(each) for each in reversed(past[-_SHOWN:])),
    }


def estimate_sentence(records: ModelRecords, made: BatchEstimate) -> str:
    """Return the estimate in words, with its basis and how earlier estimates turned out."""
    from mlops_assets.decisions.performance.estimated import coverage, reliable

    known = [
        (each.low, each.high, each.realised)
        for each in _up_to(records, made)
        if each.realised is not None and each.batch != made.batch
    ]
    warned = "" if reliable(known) else ", not to be relied on"
    came = "" if made.realised is None else f", and came to {made.realised:.4g}"
    return (
        f"Estimated without labels{warned}: {made.metric} {made.value:.4g} ({made.low:.4g} to {made.high:.4g} with 95% "
        f"confidence){came}, by the probabilities of version {made.model_version}, calibrated on "
        f"{made.calibrated_on:,} rows of its holdout; {coverage(known)}. {_BLIND}"
    )


def _row(made: BatchEstimate) -> Mapping[str, Any]:
    said = {None: "", True: "yes", False: "no"}[made.held]
    return {
        "batch": made.batch,
        f"estimated {made.metric}": made.value,
        "low": made.low,
        "high": made.high,
        "realised": made.realised,
        "held": said,
        "version": made.model_version,
    }


def _up_to(records: ModelRecords, made: BatchEstimate) -> Sequence[BatchEstimate]:
    """Return all estimates of the same metric, of any champion, up to this batch, which is the last."""

    kept = _estimates(records).all().values()
    before = [
        each for each in kept if each.metric == made.metric and natural_order(each.batch) < natural_order(made.batch)
    ]
    return [*sorted(before, key=lambda each: natural_order(each.batch)), made]


def _kept(records: ModelRecords, champion: ModelVersion, record: BatchRecord) -> BatchEstimate | None:
    """Return the stored estimate of these rows for this champion, perhaps made before their labels were in."""
    made = _estimates(records).get(record.batch)
    if made is None or (made.content, made.model_version) != (record.content, champion.version):
        return None
    return made


def _keep(records: ModelRecords, made: BatchEstimate) -> None:
    _estimates(records).put(made.batch, made)


def _estimates(records: ModelRecords) -> Records[BatchEstimate]:
    return records.of(BatchEstimate)
