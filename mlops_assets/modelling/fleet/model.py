"""An estimator that holds a pooled model and a model for each segment that earned its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Self

import sklearn.base  # noqa: TID253  the base class; `modelling.fleet` imports this file when a step needs it
import sklearn.pipeline  # noqa: TID253
from sklearn.utils.metaestimators import available_if  # noqa: TID253

from mlops_assets.lazy import np, pd
from mlops_assets.modelling.engine import HERE, Engine
from mlops_assets.modelling.fleet.digest import digest_of_estimator
from mlops_assets.modelling.fleet.own_models import Fitting, Labelled, OwnModel, own_models, rows_of, take
from mlops_assets.modelling.fleet.row_loss import row_losses
from mlops_assets.modelling.fleet.segment_names import NO_SEGMENT, segment_names
from mlops_assets.modelling.fleet.stored import restored, stored
from mlops_assets.modelling.fleet.table import segment_table
from mlops_assets.statistics.segment_gains import MIN_ROWS, SegmentGains, segment_gains


def _has_probabilities(fleet: FleetModel) -> bool:
    return hasattr(getattr(fleet, "pooled_", fleet.estimator), "predict_proba")


class FleetModel(sklearn.base.BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """One estimator of many segments: all share its preprocessing, and each may have a last step of its own.

    estimator: a Pipeline, whose steps before the last one are fitted once on the rows of all segments, or an estimator.
    by: the column that names the segment; no other step sees it.
    min_rows: the least number of training rows with which a segment is tried.
    newest: the share of the rows, the newest, on which own and pooled models are compared.
    false_share: the expected share, at most, of segments with a model of their own that do not gain from it.
    metric: the metric whose loss of a row is compared; without such a loss, or without a metric, it is the squared
        error of numbers or the log loss of classes.

    Rows are in order of time. Own and pooled models are fitted on the rows before one moment, and compared on those
    after it (`segment_gains`). A segment that gains is fitted once more on all its rows, as is the pooled model.
    Without enough rows, without gain, unseen, or where its fit fails, a segment has the pooled model.

    Fitted: `shared_` (the steps before the last one, or None), `pooled_`, `models_` (by segment), `segments_` (k,) and
    `gains_`, the arrays (k,) of `SegmentGains`. `failed_` says of segments why their fit failed. `kept_` are earlier
    fleets, with the segments that `route_` sends to them, and `against_` says why (`keep_champions`).
    """

    def __init__(
        self,
        estimator: Any,
        by: str = "segment",
        *,
        min_rows: int = 100,
        newest: float = 0.25,
        false_share: float = 0.05,
        metric: str | None = None,
        seed: int = 0,
    ) -> None:
        self.estimator = estimator
        self.by = by
        self.min_rows = min_rows
        self.newest = newest
        self.false_share = false_share
        self.metric = metric
        self.seed = seed

    def fit(
        self, X: pd.DataFrame, y: Any, engine: Engine = HERE, progress: Callable[[str], None] = lambda text: None
    ) -> Self:
        """Fit the pooled model and those of the segments that gain, on rows (n, columns) in order of time.

        The segments are fitted on the engine, on which no result depends. `progress` is told how far they are.
        """
        names, labels = segment_names(X, self.by), np.asarray(y)
        self.feature_names_in_ = np.asarray(X.columns, dtype=object)
        self.n_features_in_ = X.shape[1]
        self.segments_ = sorted(set(names) - {NO_SEGMENT})
        number = pd.Index(self.segments_, dtype=object).get_indexer(names)
        fitting = Fitting(estimator=self._steps()[1], metric=self.metric, engine=engine, progress=progress)
        self.failed_: dict[str, str] = {}
        gains = self._gains(fitting, X, labels, number)
        self.gains_ = dict(vars(gains))
        self.shared_, matrix, self.pooled_ = self._fit_pooled(X, labels)
        if sklearn.base.is_classifier(self.pooled_):
            self.classes_ = self.pooled_.classes_
        self.kept_: list[FleetModel] = []
        self.route_: dict[str, int] = {}
        self.against_: dict[str, Any] = {}
        earned = [int(segment) for segment in np.flatnonzero(gains.passed(self.false_share))]
        found = [*own_models(fitting, earned, Labelled(matrix, labels, number))]
        self._note_failed(found)
        self.models_ = {self.segments_[own.segment]: own.model for own in found if not own.failure}
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return predictions (n,), each by the model of the row's segment or by the pooled one."""
        return self._routed(X, "predict")

    @available_if(_has_probabilities)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        """Return probabilities (n, classes), likewise."""
        return self._routed(X, "predict_proba")

    def digests(self) -> dict[str, str]:
        """Return a digest of each segment's own model: the same one has the same parameters and numbers."""
        models = [*self.models_.items(), *(item for fleet in self.kept_ for item in fleet.models_.items())]
        return {name: digest_of_estimator(model) for name, model in models}

    def table(self) -> pd.DataFrame:
        """Return a row for each segment: which model it has, and why; see `segment_table`."""
        return segment_table(self)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is stored; see `stored`."""
        return stored(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what was stored."""
        super().__setstate__(restored(state))

    def __copy__(self) -> FleetModel:
        """Return a fleet that shares all models: `copy.copy` would store and restore them."""
        copy = type(self).__new__(type(self))
        copy.__dict__.update(self.__dict__)
        return copy

    def __sklearn_tags__(self) -> Any:
        """Return the tags of the estimator, so that the fleet is a regressor or a classifier as it is."""
        tags, inner = super().__sklearn_tags__(), sklearn.utils.get_tags(self.estimator)
        tags.estimator_type, tags.regressor_tags = inner.estimator_type, inner.regressor_tags
        tags.classifier_tags, tags.input_tags.allow_nan = inner.classifier_tags, True
        tags.target_tags.required = True
        return tags

    def _steps(self) -> tuple[Any, Any]:
        """Return the steps that segments share, or None, and the last step; both unfitted."""
        copy = sklearn.base.clone(self.estimator)
        if not isinstance(copy, sklearn.pipeline.Pipeline):
            return None, copy
        return copy[:-1] if len(copy.steps) > 1 else None, copy.steps[-1][1]

    def _fit_pooled(self, X: pd.DataFrame, y: np.ndarray) -> tuple[Any, Any, Any]:
        """Return the shared steps, what they make of the rows, and the last step, fitted on all of them."""
        shared, last = self._steps()
        features = X.drop(columns=[self.by])
        matrix = features if shared is None else shared.fit(features, y).transform(features)
        return shared, matrix, last.fit(matrix, y)

    def _gains(self, fitting: Fitting, X: pd.DataFrame, y: np.ndarray, number: np.ndarray) -> SegmentGains:
        """Compare own and pooled models, fitted on the older rows, on the newest."""
        cut, tried = self._cut(len(X)), np.flatnonzero(self.tried(number, len(self.segments_)))
        improvement, judged = np.zeros(len(X) - cut), np.zeros(len(X) - cut, dtype=bool)
        if len(tried):
            shared, matrix, pooled = self._fit_pooled(X.iloc[:cut], y[:cut])
            features = X.iloc[cut:].drop(columns=[self.by])
            newest = Labelled(features if shared is None else shared.transform(features), y[cut:], number[cut:])
            rows, of_pooled = newest.by_segment(), np.zeros(len(newest.y))
            at = np.flatnonzero(np.isin(newest.number, tried))
            of_pooled[at] = row_losses(pooled, take(newest.X, at), newest.y[at], self.metric)
            train = Labelled(matrix, y[:cut], number[:cut])
            for own in own_models(fitting, [int(key) for key in tried], train, newest):
                self._note_failed([own])
                if own.losses is not None:
                    at = rows[own.segment]
                    improvement[at], judged[at] = of_pooled[at] - own.losses, True
        return segment_gains(improvement[judged], number[cut:][judged], len(self.segments_), self.seed)

    def tried(self, number: np.ndarray, segments: int) -> np.ndarray:
        """Return which segments (k,) have rows enough for a model of their own, from the number 0..k-1 of each row's.

        Rows (n,) are in order of time; a row without a segment has -1.
        """
        parts = np.split(number, [self._cut(len(number))])
        before, after = (np.bincount(part[part >= 0], minlength=segments) for part in parts)
        return np.asarray((before >= self.min_rows) & (after >= MIN_ROWS))

    def _cut(self, rows: int) -> int:
        """Return how many of the rows are before those that own and pooled are compared on."""
        return rows - int(rows * self.newest)

    def _note_failed(self, found: Iterable[OwnModel]) -> None:
        """Keep which segments share the pooled model since their fit failed, and why."""
        self.failed_ |= {self.segments_[own.segment]: own.failure for own in found if own.failure}

    def _routed(self, X: pd.DataFrame, method: str) -> np.ndarray:
        names = segment_names(X, self.by)
        if not self.kept_:
            return self._by_segment(X, names, method)
        route = np.array([self.route_.get(name, -1) for name in names])
        fleets = {-1: self, **dict(enumerate(self.kept_))}
        parts = [
            (rows, fleets[int(number)]._by_segment(X.iloc[rows], names[rows], method))
            for number in np.unique(route)
            for rows in [np.flatnonzero(route == number)]
        ]
        return _joined(parts, len(X))

    def _by_segment(self, X: pd.DataFrame, names: np.ndarray, method: str) -> np.ndarray:
        """Return what the models of this fit predict for rows of these segments."""
        features = X[[name for name in self.feature_names_in_ if name != self.by]]
        matrix = features if self.shared_ is None else self.shared_.transform(features)
        codes, values = pd.factorize(names)
        by_segment, pooled, parts = rows_of(codes), [], []
        for code, name in enumerate(values):
            model = self.models_.get(name)
            if model is None:
                pooled.append(by_segment[code])
            else:
                parts.append((by_segment[code], getattr(model, method)(take(matrix, by_segment[code]))))
        if pooled or not parts:
            rows = np.sort(np.concatenate(pooled))
            parts.append((rows, getattr(self.pooled_, method)(take(matrix, rows))))
        return _joined(parts, len(X))


def _joined(parts: list[tuple[np.ndarray, np.ndarray]], rows: int) -> np.ndarray:
    """Return one array (rows, ...) from the positions and the values of its parts."""
    result = np.empty((rows, *parts[0][1].shape[1:]), dtype=np.result_type(*(values.dtype for _, values in parts)))
    for positions, values in parts:
        result[positions] = values
    return result
