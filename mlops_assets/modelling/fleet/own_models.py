"""A model of its own for each segment, fitted in chunks of segments on an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mlops_assets.lazy import np, pd, sklearn
from mlops_assets.modelling.engine import Engine, Here
from mlops_assets.modelling.fleet.row_loss import row_losses
from mlops_assets.modelling.in_order import in_order
from mlops_assets.text import reason

CHUNK = 250
"""Segments that one task of an engine fits: small fits are not worth a task each."""

_LINES = 10


@dataclass(frozen=True)
class Labelled:
    """Rows of all segments: a matrix (n, features), labels (n,), and the number (n,) of each row's segment or -1."""

    X: Any
    y: np.ndarray
    number: np.ndarray

    def by_segment(self) -> dict[int, np.ndarray]:
        """Return the positions of the rows of each segment."""
        return rows_of(self.number)


@dataclass(frozen=True, kw_only=True)
class OwnModel:
    """What became of the fit of a segment: its model or, on rows to judge it on, its losses; else why it failed."""

    segment: int
    model: Any = None
    losses: np.ndarray | None = None
    failure: str = ""


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """How the segments of one fleet are fitted.

    `metric` is the one whose loss of a row is asked for. `progress` is told how many segments are done, ten times.
    """

    estimator: Any
    metric: str | None
    engine: Engine
    progress: Callable[[str], None]


@dataclass(frozen=True)
class _Part:
    segment: int
    X: Any
    y: np.ndarray
    judged: tuple[Any, np.ndarray] | None


def own_models(
    fitting: Fitting, segments: Sequence[int], train: Labelled, judged: Labelled | None = None
) -> Iterator[OwnModel]:
    """Yield what becomes of each of these segments that has training rows of all classes, in their order.

    With rows to be `judged` on, of which each segment has some, its losses there in place of its model. Each fit has
    one thread, so its result is the same on each engine.
    """
    engine = Here(one_thread=True) if isinstance(fitting.engine, Here) else fitting.engine
    rows, of_judged = train.by_segment(), judged.by_segment() if judged is not None else {}
    needed = set(np.unique(train.y)) if sklearn.base.is_classifier(fitting.estimator) else set()
    possible = [segment for segment in segments if needed <= set(train.y[rows[segment]] if needed else ())]

    def part(segment: int) -> _Part:
        other = None if judged is None else (take(judged.X, of_judged[segment]), judged.y[of_judged[segment]])
        return _Part(segment, take(train.X, rows[segment]), train.y[rows[segment]], other)

    # Made one after another: the rows of all segments are not in memory twice.
    chunks = ([*map(part, possible[start : start + CHUNK])] for start in range(0, len(possible), CHUNK))
    # What a worker gets has no engine.
    shared, done = (fitting.estimator, fitting.metric), 0
    for found in in_order(engine, _fitted_chunk, shared, chunks):
        before, done = done, done + len(found)
        if done * _LINES // len(possible) > before * _LINES // len(possible):
            fitting.progress(f"fitted {done:,} of {len(possible):,} segments")
        yield from found


def take(matrix: Any, rows: np.ndarray) -> Any:
    """Return these rows of a frame or of an array."""
    return matrix.iloc[rows] if isinstance(matrix, pd.DataFrame) else matrix[rows]


def rows_of(number: np.ndarray) -> dict[int, np.ndarray]:
    """Return the positions of the rows of each number, in their order; negative numbers are left out."""
    order = np.argsort(number, kind="stable")
    values, starts = np.unique(number[order], return_index=True)
    return {int(value): rows for value, rows in zip(values, np.split(order, starts[1:]), strict=True) if value >= 0}


def _fitted_chunk(shared: tuple[Any, str | None], parts: list[_Part]) -> list[OwnModel]:
    return [_fitted(*shared, part) for part in parts]


def _fitted(estimator: Any, metric: str | None, part: _Part) -> OwnModel:
    try:
        model = sklearn.base.clone(estimator).fit(part.X, part.y)
        if part.judged is None:
            return OwnModel(segment=part.segment, model=model)
        return OwnModel(segment=part.segment, losses=row_losses(model, *part.judged, metric))
    except Exception as error:  # such as too few rows for its folds: one segment does not stop the others
        return OwnModel(segment=part.segment, failure=reason(error))
