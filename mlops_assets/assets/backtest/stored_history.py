"""The past of a model, from its stored batches, as a back-test needs it: fits, losses and real verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from mlops_assets.assets.backtest.fits import Fits
from mlops_assets.assets.batch.performance import row_loss
from mlops_assets.decisions.drift.batch_drift import Pair, drift
from mlops_assets.decisions.drift.error_budget import allowed_level
from mlops_assets.decisions.promotion.comparison import compare
from mlops_assets.decisions.promotion.gates import quality
from mlops_assets.decisions.retraining.backtest import Arrival
from mlops_assets.decisions.retraining.decide import duration
from mlops_assets.errors import TrainingError
from mlops_assets.lazy import np, pd
from mlops_assets.modelling.engine import Engine
from mlops_assets.modelling.fitting.search import SearchResult, search
from mlops_assets.modelling.manifest import Manifest
from mlops_assets.modelling.metrics import Metric, default_metrics, metric, scores
from mlops_assets.modelling.metrics.own import is_own
from mlops_assets.modelling.predictions import Predictions, predict
from mlops_assets.modelling.problem import Problem, problem_of
from mlops_assets.modelling.splits import split_in_time, time_folds
from mlops_assets.records.batches import BatchRecord, batch_info
from mlops_assets.records.frames import LABELS
from mlops_assets.records.labels import unready
from mlops_assets.records.manifests import with_sample
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.outcome_frames import KNOWN_AT, moments
from mlops_assets.records.references import reference_rows
from mlops_assets.records.rows import Rows, read_holdout, read_sampled, read_train

_TIMELESS = timedelta(days=30)
"""Batches without a time are assumed to come this far apart, so that no budget holds them back."""


class StoredHistory:
    """The labelled batches of a model; see `decisions.retraining.backtest.History`.

    A model is fitted once, on the declared training set as of a batch, and kept in memory. `params` (named as in
    `Pipeline.set_params`) replace a search. Nothing is written anywhere.
    """

    def __init__(
        self,
        records: ModelRecords,
        params: Mapping[str, Any] | None = None,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._records, self._model = records, records.model
        ready = [batch for batch in records.batches.all() if unready(self._model, batch) is None]
        self._batches = [batch for batch in ready if batch.labelled]
        self._infos = tuple(batch_info(batch) for batch in self._batches)
        self.arrivals: Sequence[Arrival] = _arrivals(records, self._batches)
        self._fits = Fits(records, params or {}, lambda text: log(f"{text} (of {len(self._infos)} batches)"))
        self._manifest, self._metrics = cache(self._split), cache(self._measures)
        self._rows = lru_cache(maxsize=16)(self._read_rows)
        self._predictions = lru_cache(maxsize=64)(self._predict)
        self._reference = lru_cache(maxsize=4)(self._read_reference)
        self.loss: Callable[[int, int], float] = cache(self._loss)
        self.drifted: Callable[[int, int], bool | None] = cache(self._drifted)
        self.decayed: Callable[[int, int], bool | None] = cache(self._decayed)
        self.better: Callable[[int, int], bool] = cache(self._better)

    @property
    def metric(self) -> Metric:
        """Return the first metric, which decides."""
        return self._metrics()[0]

    def first(self, newest: int = 0) -> int:
        """Return the position of the first champion: after as many batches as declared, with the declared quality.

        newest: the most batches to score after it; 0 for all. Raise `TrainingError` if there is no such position.
        """
        model, count = self._model, len(self._infos)
        for position in range(max(model.retraining.first_after - 1, count - 1 - newest if newest else 0), count - 1):
            if self._passes(position):
                return position
        raise TrainingError(
            f"{model.name}: the past gives no first champion to replay from: there are {count} labelled batches; "
            f"needed are {model.retraining.first_after} before the first training, a model on them that keeps the "
            "declared minimum and maximum of its metrics, and 6 later batches to score. Wait for more batches."
        )

    def trained_rows(self, model: int) -> int:
        """Return the number of labelled rows of the training set as of a position."""
        return self._manifest(model).rows("train")

    def seconds(self, model: int) -> float:
        """Return the seconds that the fit took."""
        return self._fitted(model)[1]

    def fit_ahead(self, first: int, engine: Engine) -> None:
        """Fit all models that a replay from position `first` on asks for, by an engine."""
        self._fits.ahead([self._manifest(position) for position in range(first, len(self._infos) - 1)], engine)

    def searched(self, position: int, engine: Engine | None = None, at_once: int = 1) -> SearchResult:
        """Return the declared search, made once on the training set as of a position."""
        rows, declared = read_train(self._records, self._manifest(position)), self._model.search
        if declared is None:
            raise TrainingError(f"{self._model.name} declares no search: choose search: off")
        folds = time_folds(rows.batch, declared.folds)
        options = (declared.space, declared.method, declared.trials, self.metric.name, self._model.seed)
        pipeline = self._fits.pipeline(rows)
        return search(pipeline, rows.X, rows.y, folds, *options, engine=engine, at_once=at_once)

    def _loss(self, model: int, batch: int) -> float:
        if self._fitted(model)[0] is None:
            return float("nan")
        value = float(self.metric.function(self._rows(batch).y.to_numpy(), self._predictions(model, batch)))
        return as_loss(self.metric, value)

    def _drifted(self, model: int, batch: int) -> bool | None:
        """Return what the step `drift` finds from features, labels and predictions; None for unknown.

        It leaves out the classifier over all features, importances, and earlier alarms, on which the level depends.
        """
        declared, rule = self._model, self._model.drift
        frame, times = self._reference(model)
        X, about = read_sampled(self._records, self._batches[batch])
        arrivals, period = self.arrivals[: batch + 1], duration(rule.period)
        near = sum(arrivals[-1].time - arrival.time < period for arrival in arrivals)
        target = declared.target
        labels = Pair(name=target, kind="target", reference=frame[target], batch=about[target])
        report = drift(
            frame,
            X,
            [name for name in frame.columns if name != target],
            allowed_level(rule.alpha, rule.false_alarms, near, 0).value,
            rule.min_effect,
            times=(times, about[declared.time]) if declared.time and times is not None else None,
            season=rule.season,
            together=False,
            extra=[self._prediction_pair(model, batch), labels],
            seed=declared.seed,
        )
        return None if report.verdict == "unknown" else report.verdict == "drift"

    def _prediction_pair(self, model: int, batch: int) -> Pair:
        """Return the model's predictions for the batch's labelled rows, and for its own holdout."""
        sides = (self._on_holdout(model, model), self._predictions(model, batch))
        holdout, scored = (predictions.frame().iloc[:, -1] for predictions in sides)
        time = self._model.time
        times = (self._holdout_rows(model).time(time), self._rows(batch).time(time)) if time else None
        return Pair(name="prediction", kind="prediction", reference=holdout, batch=scored, times=times)

    def _decayed(self, model: int, batch: int) -> bool | None:
        """Return what the step `performance` finds; None for insufficient labels."""
        holdout = (self._holdout(model), self._on_holdout(model, model))
        scored = (self._rows(batch).y.to_numpy(), self._predictions(model, batch))
        verdict = row_loss(self._metrics(), self._problem()).decay(holdout, scored).verdict
        return None if verdict == "insufficient labels" else verdict == "decay"

    def _better(self, challenger: int, champion: int) -> bool:
        """Return whether the challenger keeps the declared quality and the comparison on its holdout promotes it."""
        rules, group = self._model.gates, self._model.group
        if not self._passes(challenger):
            return False
        comparison = compare(
            self._holdout(challenger),
            self._on_holdout(champion, challenger),
            self._on_holdout(challenger, challenger),
            self.metric,
            rules.min_gain,
            1 - rules.confidence,
            seed=self._model.seed,
            groups=self._holdout_rows(challenger).about[group].to_numpy() if group else None,
            no_worse_by=rules.no_worse_by,
        )
        return comparison.verdict == "promote"

    def _passes(self, model: int) -> bool:
        if self._fitted(model)[0] is None:
            return False
        gates = self._model.gates
        names = dict.fromkeys([*(metric.name for metric in self._metrics()), *gates.minimum, *gates.maximum])
        values = scores(self._holdout(model), self._on_holdout(model, model), list(names))
        return quality(values, gates.minimum, gates.maximum).passed

    def _split(self, position: int) -> Manifest:
        manifest = split_in_time(self._infos[: position + 1], self._model.holdout, self._model.window)
        return with_sample(self._records, manifest)

    def _measures(self) -> tuple[Metric, ...]:
        return tuple(metric(name) for name in self._model.metrics or default_metrics(self._problem()))

    def _problem(self) -> Problem:
        return problem_of(self._rows(0).y, self._model.problem)

    def _fitted(self, model: int) -> tuple[Any, float]:
        """Return the model (None if it cannot be fitted) and the seconds."""
        return self._fits.of(self._manifest(model))

    def _holdout_rows(self, model: int) -> Rows:
        return read_holdout(self._records, Manifest((), self._manifest(model).holdout))

    def _holdout(self, model: int) -> np.ndarray:
        return self._holdout_rows(model).y.to_numpy()

    def _on_holdout(self, model: int, holdout_of: int) -> Predictions:
        """Return a model's predictions for the holdout of another model."""
        return predict(self._fitted(model)[0], self._holdout_rows(holdout_of).X)

    def _read_rows(self, batch: int) -> Rows:
        return read_holdout(self._records, with_sample(self._records, Manifest((), (self._infos[batch],))))

    def _predict(self, model: int, batch: int) -> Predictions:
        return predict(self._fitted(model)[0], self._rows(batch).X)

    def _read_reference(self, model: int) -> tuple[pd.DataFrame, pd.Series[Any] | None]:
        return reference_rows(self._model, read_train(self._records, self._manifest(model)))


def as_loss(metric: Metric, value: float) -> float:
    """Return a metric as a loss: the difference to 1 if greater is better.

    The difference is to 0 for scorers named `neg_...` and for the user's own gains, which have no greatest value.
    """
    if not metric.greater_is_better:
        return value
    return (0.0 if metric.name.startswith("neg_") or is_own(metric.name) else 1.0) - value


def _arrivals(records: ModelRecords, batches: Sequence[BatchRecord]) -> list[Arrival]:
    """Return when batches arrived: with their last row; without `time`, 30 days apart."""
    arrivals: list[Arrival] = []
    moment = (datetime.min if records.model.time else datetime(2000, 1, 1)).replace(tzinfo=UTC)
    for record in batches:
        end = _utc(record.end) if record.end and records.model.time else moment + _TIMELESS
        moment = max(end, moment + timedelta.resolution)
        arrivals.append(Arrival(record.batch, record.labelled, moment, max(moment, _known(records, record) or moment)))
    return arrivals


def _known(records: ModelRecords, record: BatchRecord) -> datetime | None:
    """Return when `label_share` of a batch's labels were known; None if unrecorded: they count as known at once."""
    model = records.model
    if model.known_at is None:
        return None
    if record.labels is None:
        frame = records.dataset(record, [model.known_at])
        at = moments(frame[model.known_at])
    else:
        at = records.read_frame(LABELS, record.batch, record.labels)[KNOWN_AT]
    at = at.dropna().sort_values()
    needed = min(int(model.label_share * record.rows), len(at)) - 1
    return None if at.empty else _utc(at.iloc[max(needed, 0)].isoformat())


def _utc(moment: str) -> datetime:
    at = datetime.fromisoformat(moment)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
