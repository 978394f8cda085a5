"""The models of a back-test, one for each set of training batches: fitted when asked for, or ahead by an engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mlops_assets.assets.training.fit import decided_by
from mlops_assets.errors import EngineError, TrainingError
from mlops_assets.lazy import pd
from mlops_assets.modelling.engine import Engine, with_one_thread
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.fitting.search import fit
from mlops_assets.modelling.manifest import Manifest
from mlops_assets.modelling.problem import problem_of
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.rows import Rows, read_train

_AT_ONCE = 8
"""Fits whose rows are in memory together, where an engine runs them."""


class Fits:
    """Fitted models (None for one that cannot be fitted) with the seconds, kept in memory.

    `params` (named as in `Pipeline.set_params`) replace a search.
    """

    def __init__(self, records: ModelRecords, params: Mapping[str, Any], log: Callable[[str], None]) -> None:
        self._records, self._model, self._params, self._log = records, records.model, params, log
        self._fits: dict[tuple[tuple[str, float], ...], tuple[Any, float]] = {}

    def of(self, manifest: Manifest) -> tuple[Any, float]:
        """Return the model of a training set; training sets of the same batches share it."""
        key = _trained_on(manifest)
        if key not in self._fits:
            for task in self._tasks([manifest]):
                self._keep(manifest, *_fit_one(None, task))
        return self._fits[key]

    def ahead(self, manifests: Sequence[Manifest], engine: Engine) -> None:
        """Fit the models of training sets by an engine, some at a time."""
        left = {_trained_on(manifest): manifest for manifest in manifests}
        todo = [manifest for key, manifest in left.items() if key not in self._fits]
        for begin in range(0, len(todo), _AT_ONCE):
            tasks = self._tasks(todo[begin : begin + _AT_ONCE])
            part = [manifest for manifest in todo[begin : begin + _AT_ONCE] if _trained_on(manifest) not in self._fits]
            one_thread = [(with_one_thread(pipeline), *labelled) for pipeline, *labelled in tasks]
            for place, result in engine.each(_fit_one, None, one_thread):
                if isinstance(result, EngineError):
                    raise TrainingError(f"{self._model.name}: the fit up to {part[place].trained_until}: {result}")
                self._keep(part[place], *result)

    def pipeline(self, rows: Rows) -> Any:
        """Return the declared Pipeline for these rows, unfitted, with the parameters."""
        model = self._model
        problem, by = problem_of(rows.y, model.problem), decided_by(model)
        pipeline = build(model.estimator, model.params, rows.X, problem, model.seed, rows.y, by)
        return pipeline.set_params(**self._params) if self._params else pipeline

    def _tasks(self, manifests: Sequence[Manifest]) -> list[tuple[Any, pd.DataFrame, pd.Series[Any]]]:
        """Return Pipeline and rows of each training set; one that gives no Pipeline is kept as a failed fit."""
        tasks = []
        for manifest in manifests:
            rows = read_train(self._records, manifest)
            try:
                tasks.append((self.pipeline(rows), rows.X, rows.y))
            except TrainingError as error:
                self._keep(manifest, None, 0.0, str(error))
        return tasks

    def _keep(self, manifest: Manifest, fitted: Any, seconds: float, failure: str) -> None:
        if failure:  # such as no label known in time: in production nothing is promoted then
            self._log(f"no model up to {manifest.trained_until}: {failure}")
        self._fits[_trained_on(manifest)] = fitted, seconds
        self._log(f"fitted {len(self._fits)}: trained until {manifest.trained_until}")


def _trained_on(manifest: Manifest) -> tuple[tuple[str, float], ...]:
    return tuple((batch.key, batch.share) for batch in manifest.train)


def _fit_one(shared: None, task: tuple[Any, pd.DataFrame, pd.Series[Any]]) -> tuple[Any, float, str]:
    """Return the fitted model (None if it cannot be fitted), the seconds, and the reason of a failure."""
    begin = time.perf_counter()
    try:
        return fit(*task), time.perf_counter() - begin, ""
    except TrainingError as error:
        return None, time.perf_counter() - begin, str(error)
