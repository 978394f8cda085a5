"""How certain a metric is: bootstrap intervals over all rows, and the metric slice by slice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

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
    max_rows: int = 20_000,
) -> dict[str, Interval]:
    """Return 95% percentile bootstrap intervals (Efron & Tibshirani 1993, ch. 13) of metrics over n rows.

    Beyond `max_rows` a sample of the rows is resampled, and the spread scaled by the root of its share (m out of n;
    Politis, Romano & Wolf 1999, ch. 2). The same inputs and seed give the same intervals.
    """
    labels = np.asarray(y)
    values = scores(labels, predictions, names)
    rows, scale = np.arange(len(labels)), 1.0
    if len(labels) > max_rows:
        rows = np.sort(np.random.default_rng([seed, 1]).choice(len(labels), max_rows, replace=False))
        scale = float(np.sqrt(max_rows / len(labels)))
    part_y, part = labels[rows], predictions.take(rows)
    result = {}
    for metric in suited(predictions, names):
        value = values[metric.name]
        figures = _resampled(metric, part_y, part, resamples, seed) if len(rows) > 1 else np.empty(0)
        figures = figures[np.isfinite(figures)]
        low, high = np.quantile(figures, [0.025, 0.975]) if len(figures) else (np.nan, np.nan)
        if scale < 1.0:
            centre = metric.function(part_y, part)
            low, high = value + (low - centre) * scale, value + (high - centre) * scale
        result[metric.name] = Interval(value, float(low), float(high))
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
    table = []
    for column in slices.columns:
        for value, rows in rows_by_value(slices[column]):
            enough = len(rows) >= min_rows
            figures = scores(labels[rows], predictions.take(rows), names) if enough else dict.fromkeys(names, np.nan)
            note = "" if enough else "too few rows"
            table.append({"slice": str(column), "value": value, "rows": len(rows), **figures, "note": note})
    return pd.DataFrame(table, columns=["slice", "value", "rows", *names, "note"])


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


def _draws(rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yield chunks (k, rows) of drawn rows, bounded in memory; the same for every metric."""
    random = np.random.default_rng(seed)
    chunk = max(1, 2_000_000 // rows)
    for begin in range(0, resamples, chunk):
        yield random.integers(0, rows, (min(chunk, resamples - begin), rows), dtype=np.int32)


def _resampled(metric: Metric, y: np.ndarray, predictions: Predictions, resamples: int, seed: int) -> np.ndarray:
    if metric.row_statistics is not None:
        columns = np.asarray(metric.row_statistics(y, predictions), dtype=np.float64).T
        chunks = _draws(len(y), resamples, seed)
        means = [np.column_stack([column[chunk].mean(axis=1) for column in columns]) for chunk in chunks]
        return np.asarray(metric.from_means(np.concatenate(means)))
    if metric.reweighted is not None:
        score = metric.reweighted(y, predictions)
        draws = chain.from_iterable(_draws(len(y), resamples, seed))
        counts = (np.bincount(draw, minlength=len(y)).astype(np.float64) for draw in draws)
        return np.array([score(count[None])[0] for count in counts])
    draws = chain.from_iterable(_draws(len(y), min(resamples, MOST_RESAMPLES_IN_A_LOOP), seed))
    return np.array([metric.function(y[rows], predictions.take(rows)) for rows in draws])


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
