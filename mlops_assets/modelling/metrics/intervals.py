"""How certain a metric is: bootstrap intervals over all rows, and the metric slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from mlops_assets.errors import TrainingError
from mlops_assets.lazy import np, pd
from mlops_assets.modelling.metrics.by_name import scores, suited
from mlops_assets.modelling.metrics.definition import Metric
from mlops_assets.modelling.predictions import Predictions

# Scorers of sklearn are computed again for each resample, so fewer are drawn.
MOST_RESAMPLES_IN_A_LOOP = 200
MOST_VALUES_OF_A_SLICE = 50


@dataclass(frozen=True)
class Interval:
    """A metric on all rows, and the bounds that hold it with 95% confidence; NaN if they cannot be known."""

    value: float
    low: float
    high: float


def intervals(
    y: np.ndarray | pd.Series,
    predictions: Predictions,
    names: Sequence[str],
    resamples: int = 500,
    seed: int = 0,
    blocks: np.ndarray | None = None,
    max_rows: int = 20_000,
) -> dict[str, Interval]:
    """Return 95% percentile bootstrap intervals (Efron & Tibshirani 1993, ch. 13) of metrics over n rows.

    `blocks` (n,) names the block of each row: whole blocks are drawn, for autocorrelated rows. Beyond `max_rows` a
    sample of the rows is resampled, and the spread scaled by the root of its share (m out of n; Politis, Romano & Wolf
    1999, ch. 2). The same inputs and seed give the same intervals.
    """
    labels = np.asarray(y)
    chosen = suited(predictions, names)
    values = scores(labels, predictions, names)
    sample = _sample(len(labels), blocks, max_rows, seed)
    if sample is None:
        return {name: Interval(value, float("nan"), float("nan")) for name, value in values.items()}
    part_y, part = labels[sample.rows], predictions.take(sample.rows)
    result = {}
    for each in chosen:
        drawn = _resampled(each, part_y, part, sample, resamples, seed)
        drawn = drawn[np.isfinite(drawn)]
        low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (np.nan, np.nan)
        value = values[each.name]
        if sample.scale < 1.0:
            centre = each.function(part_y, part)
            low, high = value + (low - centre) * sample.scale, value + (high - centre) * sample.scale
        result[each.name] = Interval(value, float(low), float(high))
    return result


def by_slice(
    y: np.ndarray | pd.Series,
    predictions: Predictions,
    slices: pd.DataFrame,
    names: Sequence[str],
    min_rows: int = 30,
) -> pd.DataFrame:
    """Return the metrics for each value of each column of `slices` (n rows, in the order of `y`).

    Columns: slice, value, rows, one for each metric, note. Numbers with more than 10 distinct values are cut in
    quartiles; of other columns the 50 most frequent values are used. Slices under `min_rows` rows get NaN and the note
    "too few rows".
    """
    labels = np.asarray(y)
    if len(slices) != len(labels):
        raise TrainingError(f"slices have {len(slices):,} rows, the labels {len(labels):,}; expected the same rows.")
    suited(predictions, names)
    found = []
    for column in slices.columns:
        for value, rows in rows_by_value(slices[column]):
            enough = len(rows) >= min_rows
            figures = scores(labels[rows], predictions.take(rows), names) if enough else dict.fromkeys(names, np.nan)
            note = "" if enough else "too few rows"
            found.append({"slice": str(column), "value": value, "rows": len(rows), **figures, "note": note})
    return pd.DataFrame(found, columns=["slice", "value", "rows", *names, "note"])


def rows_by_value(column: pd.Series) -> list[tuple[str, np.ndarray]]:
    """Return the row positions of each value of a column; numbers with more than 10 distinct ones are cut in quartiles.

    Of other columns the 50 most frequent values are used. Missing values come last, as "(missing)".
    """
    missing = np.asarray(column.isna())
    dtype = column.dtype
    if pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype) and column.nunique() > 10:
        number, names = _quartiles(column.astype("float64"))
    else:
        number, names = _most_frequent(column)
    groups = [(name, np.flatnonzero((number == position) & ~missing)) for position, name in enumerate(names)]
    if missing.any():
        groups.append(("(no value)" if "(missing)" in names else "(missing)", np.flatnonzero(missing)))
    return [(name, rows) for name, rows in groups if len(rows)]


@dataclass(frozen=True)
class _Sample:
    """Rows (m,) ordered by unit; `first` and `size` (u,) give the position of each unit's rows among them."""

    rows: np.ndarray
    first: np.ndarray
    size: np.ndarray
    scale: float


def _sample(rows: int, blocks: np.ndarray | None, max_rows: int, seed: int) -> _Sample | None:
    """Return the units (rows or blocks) to draw from; None if there are fewer than two."""
    unit = np.arange(rows) if blocks is None else np.unique(np.asarray(blocks), return_inverse=True)[1]
    units = int(unit.max()) + 1 if rows else 0
    if units < 2:
        return None
    scale = 1.0
    order = np.argsort(unit, kind="stable")
    if rows > max_rows:
        keep = max(2, units * max_rows // rows)
        taken = np.sort(np.random.default_rng([seed, 1]).choice(units, keep, replace=False))
        order = order[np.isin(unit[order], taken)]
        scale = float(np.sqrt(keep / units))
    size = np.unique(unit[order], return_counts=True)[1]
    return _Sample(order, np.cumsum(size) - size, size, scale)


def _draws(units: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield chunks (k, units) of drawn units, bounded in memory; the same for every metric."""
    random = np.random.default_rng(seed)
    chunk = max(1, 2_000_000 // units)
    for begin in range(0, resamples, chunk):
        yield random.integers(0, units, (min(chunk, resamples - begin), units), dtype=np.int32)


def _resampled(
    chosen: Metric, y: np.ndarray, predictions: Predictions, sample: _Sample, resamples: int, seed: int
) -> np.ndarray:
    units = len(sample.size)
    if chosen.row_statistics is not None:
        columns = np.asarray(chosen.row_statistics(y, predictions), dtype=np.float64)
        sums = np.add.reduceat(columns, sample.first, axis=0).T
        means = [
            np.column_stack([of_unit[chunk].sum(axis=1) for of_unit in sums]) / sample.size[chunk].sum(axis=1)[:, None]
            for chunk in _draws(units, resamples, seed)
        ]
        return np.asarray(chosen.from_means(np.concatenate(means)))
    if chosen.reweighted is not None:
        score = chosen.reweighted(y, predictions)
        counts = (np.bincount(draw, minlength=units) for chunk in _draws(units, resamples, seed) for draw in chunk)
        return np.array([score(np.repeat(count, sample.size).astype(np.float64)[None])[0] for count in counts])
    drawn = (draw for chunk in _draws(units, min(resamples, MOST_RESAMPLES_IN_A_LOOP), seed) for draw in chunk)
    picks = (_rows_of(draw, sample) for draw in drawn)
    return np.array([chosen.function(y[rows], predictions.take(rows)) for rows in picks])


def _rows_of(draw: np.ndarray, sample: _Sample) -> np.ndarray:
    size = sample.size[draw]
    offset = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    return np.asarray(np.repeat(sample.first[draw], size) + offset)


def _quartiles(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    edges = np.unique(column.quantile([0.0, 0.25, 0.5, 0.75, 1.0]))
    number = np.clip(np.searchsorted(edges, column, side="left") - 1, 0, len(edges) - 2)
    digits = next((few for few in range(4, 17) if len({f"{edge:.{few}g}" for edge in edges}) == len(edges)), 17)
    return number, [f"{low:.{digits}g} to {high:.{digits}g}" for low, high in pairwise(edges)]


def _most_frequent(column: pd.Series) -> tuple[np.ndarray, list[str]]:
    text = column.astype(object).map(str)
    counts = text[column.notna()].value_counts(sort=False).sort_index().sort_values(ascending=False, kind="stable")
    names = sorted(counts.index[:MOST_VALUES_OF_A_SLICE], key=_numbers_first)
    number = pd.Index(names).get_indexer(pd.Index(text))
    others = len(counts) - len(names)
    return np.where(number < 0, len(names), number), [*names, *([f"({others:,} others)"] if others else [])]


def _numbers_first(text: str) -> tuple[bool, float, str]:
    try:
        return False, float(text), text
    except ValueError:
        return True, 0.0, text
