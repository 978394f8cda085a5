"""Expectations on a batch that does not fit into memory: each judged by Great Expectations, on what it needs.

Expectations on single rows are judged chunk by chunk and their counts added. Uniqueness is judged on the rows that are
repeated, others on whole columns, and on a sample where these are too large.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from mlops_assets.disk_frame import LargeFrame, rechunked
from mlops_assets.lazy import np, pd
from mlops_assets.validation.repeated import repeated_rows
from mlops_assets.validation.suites import Expectation

ROWS_AT_ONCE = 500_000
"""Rows that Great Expectations judges at once: each call costs 0.1 s or more."""
VALUES_AT_ONCE = 20_000_000
"""Most values of whole columns; beyond, a sample is judged."""
SAMPLE = 1_000_000
"""Rows of a sample."""

Evaluate = Callable[["pd.DataFrame", Sequence[Expectation]], list[Any]]
"""Return Great Expectations' result for each expectation on a frame."""

_OF_ROWS = {
    "expect_column_pair_values_a_to_be_greater_than_b",
    "expect_column_pair_values_to_be_equal",
    "expect_column_pair_values_to_be_in_set",
    "expect_column_value_lengths_to_be_between",
    "expect_column_value_lengths_to_equal",
    "expect_column_values_to_be_between",
    "expect_column_values_to_be_dateutil_parseable",
    "expect_column_values_to_be_in_set",
    "expect_column_values_to_be_in_type_list",
    "expect_column_values_to_be_json_parseable",
    "expect_column_values_to_be_null",
    "expect_column_values_to_be_of_type",
    "expect_column_values_to_match_json_schema",
    "expect_column_values_to_match_like_pattern",
    "expect_column_values_to_match_like_pattern_list",
    "expect_column_values_to_match_regex",
    "expect_column_values_to_match_regex_list",
    "expect_column_values_to_match_strftime_format",
    "expect_column_values_to_not_be_in_set",
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_not_match_like_pattern",
    "expect_column_values_to_not_match_like_pattern_list",
    "expect_column_values_to_not_match_regex",
    "expect_column_values_to_not_match_regex_list",
    "expect_multicolumn_sum_to_equal",
    "expect_multicolumn_values_to_be_equal",
    "expect_select_column_values_to_be_unique_within_record",
}
_OF_COLUMN_NAMES = {
    "expect_column_to_exist",
    "expect_column_type_to_be",
    "expect_table_column_count_to_be_between",
    "expect_table_column_count_to_equal",
    "expect_table_columns_to_match_ordered_list",
    "expect_table_columns_to_match_set",
}
_OF_ROW_COUNT = {"expect_table_row_count_to_be_between", "expect_table_row_count_to_equal"}
_UNIQUE = {"expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique"}
_IN_ORDER = {"expect_column_values_to_be_increasing", "expect_column_values_to_be_decreasing"}
_MISSING: dict[str, Callable[[pd.DataFrame], Any]] = {
    "all_values_are_missing": lambda gaps: gaps.all(axis=1),
    "any_value_is_missing": lambda gaps: gaps.any(axis=1),
    "never": lambda gaps: np.zeros(len(gaps), bool),
}


def results(frame: LargeFrame, expectations: Sequence[Expectation], evaluate: Evaluate, most: int) -> list[Any]:
    """Return a result for each expectation, as Great Expectations gives it for a whole frame; an exception for none.

    most: how many unexpected values a result has.
    """
    evaluate = partial(freed, evaluate)
    by_row = [item for item in expectations if item.type in _OF_ROWS and _present(frame, item) is not None]
    of_rows = dict(zip(map(id, by_row), _by_chunk(frame, by_row, evaluate, most), strict=True))
    return [of_rows[id(item)] if id(item) in of_rows else _alone(frame, item, evaluate, most) for item in expectations]


def freed(evaluate: Evaluate, frame: pd.DataFrame, items: Sequence[Expectation]) -> list[Any]:
    """Evaluate and free the copies of the rows that Great Expectations leaves in reference cycles."""
    try:
        return evaluate(frame, items)
    finally:
        gc.collect()


def _by_chunk(frame: LargeFrame, items: Sequence[Expectation], evaluate: Evaluate, most: int) -> Iterator[Any]:
    if not items:
        return
    names = list(dict.fromkeys(name for item in items for name in _present(frame, item) or ()))
    parts: list[list[Any]] = [[] for _ in items]
    start = 0
    for rows in rechunked(frame.chunks(names), ROWS_AT_ONCE):
        chunk = rows.set_axis(pd.RangeIndex(start, start + len(rows)))
        start += len(chunk)
        for part, result in zip(parts, evaluate(chunk, items), strict=True):
            part.append(result)
    for item, part in zip(items, parts, strict=True):
        yield merged(part, float(item.kwargs.get("mostly", 1)), most)


def merged(parts: Sequence[Any], mostly: float, most: int) -> Any:
    """Return the result of an expectation on all rows from its results on some rows each."""
    for part in parts:
        if part is None or isinstance(part, Exception) or _raised(part.exception_info):
            return part
    if not all("element_count" in part.result for part in parts):  # of the type of a column, which chunks share
        return next((part for part in parts if not part.success), parts[-1])
    counts = {name: sum(part.result.get(name) or 0 for part in parts) for name in ("element_count", "unexpected_count")}
    figures: dict[str, Any] = dict(counts)
    if any("missing_count" in part.result for part in parts):
        figures["missing_count"] = sum(part.result.get("missing_count") or 0 for part in parts)
    for name in ("partial_unexpected_list", "partial_unexpected_index_list"):
        lists = [part.result[name] for part in parts if part.result.get(name) is not None]
        if lists:
            figures[name] = [value for values in lists for value in values][:most]
    return counted(figures, mostly)


def counted(figures: dict[str, Any], mostly: float) -> Any:
    """Return the result that follows from the counts of elements, missing and unexpected ones."""
    judged = figures["element_count"] - figures.get("missing_count", 0)
    unexpected = figures["unexpected_count"]
    success = not judged or (judged - unexpected) / judged >= mostly
    share = {"unexpected_percent": unexpected / judged * 100 if judged else None}
    return SimpleNamespace(success=success, result={**figures, **share}, exception_info={})


def _alone(frame: LargeFrame, item: Expectation, evaluate: Evaluate, most: int) -> Any:
    if item.type in _OF_ROW_COUNT and "row_condition" not in item.kwargs:
        return evaluate(pd.DataFrame({"rows": np.zeros(len(frame), bool)}), [item])[0]
    names = _present(frame, item)
    if names is None or item.type in _OF_COLUMN_NAMES:  # a missing column has the same result on any rows
        return evaluate(frame.head(), [item])[0]
    if item.type in _UNIQUE and item.kwargs.get("row_condition") is None:
        return _unique(frame, item, names, evaluate)
    if not names:
        return ValueError("cannot be judged on a batch that does not fit into memory")
    if len(frame) * len(names) <= VALUES_AT_ONCE:
        return evaluate(frame[names], [item])[0]
    if item.type in _IN_ORDER or item.type in _UNIQUE:
        return ValueError(f"needs whole columns, which have more than {VALUES_AT_ONCE:,} values; judge smaller batches")
    return _of_sample(evaluate(_sample(frame, names), [item])[0], len(frame))


def _unique(frame: LargeFrame, item: Expectation, names: list[str], evaluate: Evaluate) -> Any:
    """Judge uniqueness on the rows that are repeated, which have all unexpected values."""
    columns = frame[names]
    gaps = columns.isna()
    missing = gaps.all(axis=1) if len(names) == 1 else _MISSING[item.kwargs.get("ignore_row_if", _ALL)](gaps)
    rows = columns[repeated_rows(columns) & ~missing]
    result = evaluate(rows if len(rows) else columns.head(1), [item])[0]
    if result is None or isinstance(result, Exception) or _raised(result.exception_info):
        return result
    figures = {**result.result, "element_count": len(frame)}
    if "missing_count" in figures:
        figures["missing_count"] = int(missing.sum())
    return counted(figures, float(item.kwargs.get("mostly", 1)))


_ALL = "all_values_are_missing"


def _sample(frame: LargeFrame, names: list[str]) -> pd.DataFrame:
    """Return always the same random rows of some columns, in their order."""
    chosen = np.sort(np.random.default_rng(0).choice(len(frame), min(SAMPLE, len(frame)), replace=False))
    parts, start = [], 0
    for chunk in frame.chunks(names):
        first, last = np.searchsorted(chosen, [start, start + len(chunk)])
        parts.append(chunk.iloc[chosen[first:last] - start])
        start += len(chunk)
    return pd.concat(parts)


def _of_sample(result: Any, rows: int) -> Any:
    if result is None or isinstance(result, Exception):
        return result
    # Dvoretzky, Kiefer & Wolfowitz: how far the distribution of a sample is from that of all rows, at most.
    error = 100 * math.sqrt(math.log(2 / 0.01) / (2 * SAMPLE))
    note = (
        f"judged on a random sample of {SAMPLE:,} of {rows:,} rows: shares and quantiles are exact to {error:.2f} "
        "percentage points, with 99% confidence"
    )
    return SimpleNamespace(
        success=result.success, result=result.result, exception_info=result.exception_info, sampled=note
    )


def _present(frame: LargeFrame, item: Expectation) -> list[str] | None:
    """Return the columns that an expectation reads; None if the batch lacks one."""
    names = list(dict.fromkeys(_named(item.kwargs)))
    return names if all(name in frame.dtypes for name in names) else None


def _named(kwargs: Mapping[str, Any]) -> Iterator[str]:
    for name in ("column", "column_A", "column_B"):
        if isinstance(kwargs.get(name), str):
            yield kwargs[name]
    listed = kwargs.get("column_list")
    yield from listed if isinstance(listed, list) else ()
    yield from _of_condition(kwargs.get("row_condition"))


def _of_condition(condition: Any) -> Iterable[str]:
    if not isinstance(condition, Mapping):
        return
    column = condition.get("column")
    if isinstance(column, Mapping) and isinstance(column.get("name"), str):
        yield column["name"]
    for part in condition.get("conditions") or ():
        yield from _of_condition(part)


def _raised(exception_info: Any) -> bool:
    entries = [exception_info] if "raised_exception" in exception_info else dict(exception_info).values()
    return any(entry.get("raised_exception") for entry in entries)
