"""The gates of a version, recomputed from the stored model and rows: no earlier check result is trusted.

Two digests are read from the version's tags: of its files, and of its predictions when it was fitted.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from mlops_assets.assets.training.training_set import split_checks
from mlops_assets.checks import CheckOutcome
from mlops_assets.decisions.promotion.gates import agrees, beats_baseline, latency, leakage, loads_back, quality, size
from mlops_assets.declaration import Declaration
from mlops_assets.lazy import np, pd, threadpoolctl
from mlops_assets.modelling.feature_worth.distances import distances
from mlops_assets.modelling.fitting.baselines import baselines
from mlops_assets.modelling.manifest import Manifest
from mlops_assets.modelling.metrics import Metric, default_metrics, metric, scores, suited
from mlops_assets.modelling.predictions import Predictions, predict
from mlops_assets.modelling.problem import Problem, problem_of
from mlops_assets.records.manifests import read_manifest
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import Rows, read_holdout, read_train
from mlops_assets.resources.mlflow.model_version import ModelVersion
from mlops_assets.resources.mlflow.registry import MlflowRegistry

CHALLENGER_GATES = {
    "loads_back": "The registered model, loaded by its digest, predicts what was predicted when it was fitted.",
    "latency": "A single row and 1,000 rows are scored within the declared limits of processor time.",
    "size": "The registered files are no larger than declared.",
    "no_leakage": "No feature, and no sum of features, determines the target almost perfectly.",
}
"""Gates of the registered model, independent of any comparison: a failed one ends the run."""
BASELINE_GATES = {"beats_baseline": "The first metric on the holdout is better than that of the declared baselines."}
QUALITY_GATES = {"quality": "Metrics on the holdout keep the declared minimum and maximum."}
"""Like `BASELINE_GATES`, these judge the model, not the run: the run goes on, and `champion` refuses the version."""
PREDICTIONS_TAG = "holdout_predictions"
"""Tag of a version: the digest of its predictions for the holdout when it was fitted."""
BASELINES = ("dummy", "previous", "linear")
_TIMED = 7


@dataclass(frozen=True, kw_only=True)
class Case:
    """All that a version is judged on: the rows of its training set, and its predictions for the holdout.

    A refit was trained on the holdout: rows and `predictions` are the judged version's, `fitted` is its own.
    """

    model: Declaration
    version: ModelVersion
    fitted: Any
    manifest: Manifest
    train: Rows
    holdout: Rows
    problem: Problem
    predictions: Predictions
    metrics: tuple[Metric, ...]
    stored_bytes: int


def trained_on(records: ModelRecords, version: ModelVersion, manifest: Manifest) -> list[str]:
    """Return the batches of the manifest's holdout that a version was trained on: there it cannot be judged."""
    trained = {batch.key for batch in read_manifest(records, version.data_version).train}
    return [batch.key for batch in manifest.holdout if batch.key in trained]


def open_case(records: ModelRecords, registry: MlflowRegistry, version: ModelVersion) -> Case:
    """Load a version by its digest, with the rows that it was trained and is judged on."""
    model, judged = records.model, version.judged
    manifest = read_manifest(records, judged.data_version)
    train, holdout = (read(records, manifest) for read in (read_train, read_holdout))
    fitted = registry.load(version, model.serialization, model.trusted_types)
    of_holdout = registry.load(judged, model.serialization, model.trusted_types) if version.refit_of else fitted
    problem = problem_of(train.y, model.problem)
    predictions = predict(of_holdout, holdout.X)
    suited(predictions, list(model.gates.guards))  # else the first comparison would fail, a training later
    return Case(
        model=model,
        version=version,
        fitted=fitted,
        manifest=manifest,
        train=train,
        holdout=holdout,
        problem=problem,
        predictions=predictions,
        metrics=tuple(metric(name) for name in model.metrics or default_metrics(problem)),
        stored_bytes=registry.size(version),
    )


def baseline_predictions(case: Case, names: Collection[str] = BASELINES) -> dict[str, Predictions]:
    """Return the baselines' predictions for the holdout."""
    train, holdout = case.train, case.holdout
    return baselines(train.X, train.y, holdout.X, holdout.y, case.problem, case.model.seed, names)


def challenger_gates(case: Case, baselines: dict[str, Predictions]) -> list[CheckOutcome]:
    """Return `CHALLENGER_GATES` and `BASELINE_GATES`; for a refit also its agreement with the judged version."""
    first, y = case.metrics[0], case.holdout.y.to_numpy()
    beaten = {name: first.function(y, predictions) for name, predictions in baselines.items()}
    score = first.function(y, case.predictions)
    return [
        *artifact_gates(case),
        beats_baseline(score, beaten, case.model.gates.beats, first.name, first.greater_is_better),
        leakage(case.train.X, case.train.y, case.problem),
    ]


def artifact_gates(case: Case) -> list[CheckOutcome]:
    """Return gates: the artifact is the fitted model, quick and small enough; a refit is near the judged version."""
    rules = case.model.gates
    limits = rules.max_latency_ms, rules.max_latency_ms_per_1000
    single, thousand = measured_latency(case.fitted, case.holdout.X, *limits)
    same, *near = sound_gates(case)
    return [same, latency(single, thousand, *limits), size(case.stored_bytes, rules.max_size_mb), *near]


def sound_gates(case: Case) -> list[CheckOutcome]:
    """Return gates: the artifact predicts as when it was fitted; a refit predicts nearly as the judged version."""
    refit = bool(case.version.refit_of)
    predictions = predict(case.fitted, case.holdout.X) if refit else case.predictions
    same = predictions_digest(predictions) == case.version.tags.get(PREDICTIONS_TAG)
    gates = [loads_back(same, len(case.holdout.y))]
    if refit:
        far = distances(case.holdout.y, case.predictions, predictions)
        gates.append(agrees(far.apart, far.error, far.spread, far.rows))
    return gates


def quality_gate(case: Case) -> CheckOutcome:
    """Return the gate of `QUALITY_GATES`."""
    rules = case.model.gates
    names = dict.fromkeys([*(metric.name for metric in case.metrics), *rules.minimum, *rules.maximum])
    return quality(scores(case.holdout.y, case.predictions, list(names)), rules.minimum, rules.maximum)


def all_gates(case: Case) -> list[CheckOutcome]:
    """Return every blocking gate between a version and the alias, recomputed."""
    return [
        *split_checks(case.model, case.manifest, case.train, case.holdout),
        *challenger_gates(case, baseline_predictions(case, case.model.gates.beats)),
        quality_gate(case),
    ]


def predictions_digest(predictions: Predictions) -> str:
    """Return the SHA-256 of the bytes of the predictions, equal only if all predictions are."""
    values = predictions.value if predictions.probability is None else predictions.probability
    return hashlib.sha256(np.ascontiguousarray(values, dtype=np.float64).tobytes()).hexdigest()


def measured_latency(
    fitted: Any, X: pd.DataFrame, most_single: float | None = None, most_thousand: float | None = None
) -> tuple[float, float]:
    """Return the milliseconds that one row and 1,000 rows take (rows repeat where there are fewer); see `_least_ms`."""

    thousand = X.iloc[[position % len(X) for position in range(1_000)]]
    return (
        _least_ms(lambda: predict(fitted, X.iloc[:1]), most_single),
        _least_ms(lambda: predict(fitted, thousand), most_thousand),
    )


def _least_ms(call: Callable[[], object], most: float | None) -> float:
    """Return milliseconds of processor time on one thread: the least of two, near the limit `most` of seven.

    Wall-clock time depends on other load: it ranged from 37 to 1,226 ms for one model, processor time from 14 to 25 ms.
    """
    seconds = []
    with threadpoolctl.threadpool_limits(1):
        for _ in range(_TIMED):
            begin = time.process_time()
            call()
            seconds.append(time.process_time() - begin)
            if len(seconds) > 1 and (most is None or min(seconds) * 1_000 <= most / 2):
                break
    return min(seconds) * 1_000
