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
"""Segments that one task of an engine fits: enough for thousands of small fits, few enough for all workers."""

Progress = Callable[[str], None]
Role = tuple[Any, np.ndarray, np.ndarray]
"""Rows of a purpose: a matrix (n, features), labels (n,) and the number of each row's segment (n,)."""

_SAID = 10


@dataclass(frozen=True, kw_only=True)
class OwnModel:
    """What became of the fit of a segment: `model`, or `losses` on the rows that it is judged on, or why it failed."""

    segment: int
    model: Any = None
    losses: np.ndarray | None = None
    failure: str = ""


@dataclass(frozen=True)
class _Shape:
    """What all segments share: the unfitted estimator, and the metric whose losses are asked for."""

    estimator: Any
    metric: str | None


@dataclass(frozen=True)
class _Part:
    """The rows of one segment, to fit on and, if there are others, to judge on."""

    segment: int
    X: Any
    y: np.ndarray
    judged: tuple[Any, np.ndarray] | None


def own_models(
    estimator: Any,
    train: Role,
    judged: Role | None,
    segments: Sequence[int],
    metric: str | None,
    engine: Engine,
    progress: tuple[Progress, str] | None = None,
) -> Iterator[OwnModel]:
    """Yield what becomes of each segment that has training rows of all classes, in the order of `segments`.

    With `judged` rows, each segment has at least one of them, and losses on these in place of its model. One thread
    for each fit: the result is the same on each engine. `progress` is told of each tenth, with this ending.
    """
    if isinstance(engine, Here):
        engine = Here(one_thread=True)
    possible = _with_all_classes(estimator, train, segments)
    chunks = [possible[start : start + CHUNK] for start in range(0, len(possible), CHUNK)]
    rows = [_rows_of(role[2]) for role in (train, judged) if role is not None]

    def tasks() -> Iterator[list[_Part]]:
        for chunk in chunks:
            yield [_part(segment, train, judged, rows) for segment in chunk]

    done = said = 0
    for found in in_order(engine, _fit_chunk, _Shape(estimator, metric), tasks()):
        yield from found
        done += len(found)
        if progress is not None and done * _SAID // len(possible) > said:
            said = done * _SAID // len(possible)
            progress[0](f"fitted {done:,} of {len(possible):,} segments {progress[1]}")


def take(matrix: Any, rows: np.ndarray) -> Any:
    """Return these rows of a frame or of a matrix."""
    return matrix.iloc[rows] if isinstance(matrix, pd.DataFrame) else matrix[rows]


def _rows_of(number: np.ndarray) -> dict[int, np.ndarray]:
    return rows_of(number)


def rows_of(number: np.ndarray) -> dict[int, np.ndarray]:
    """Return the positions of the rows of each number, in their order; negative numbers are left out."""
    order = np.argsort(number, kind="stable")
    values, starts = np.unique(number[order], return_index=True)
    return {int(value): rows for value, rows in zip(values, np.split(order, starts[1:]), strict=True) if value >= 0}
