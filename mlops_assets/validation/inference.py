"""Infer a first suite of expectations from accepted batches and write it to a file that a person edits."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mlops_assets.errors import ExpectationsError
from mlops_assets.lazy import pd
from mlops_assets.validation.schema import kind_of, numbers

_HEADER = """\
# Expectations of {name}, inferred from its first batches. This file is yours: edit it, it is never overwritten.
# While it is here, it is in force in place of what is inferred.
#
# meta.severity: error  a batch that fails is rejected and stays out of training. Inferred only where much is wrong:
#                       a tenth of a column beyond ten times the values seen, or half of a complete column missing.
# meta.severity: warn   a failure is shown and stops nothing. Inferred with limits close to the values seen.
# kwargs.mostly         the share of the non-missing values that must hold: 0.99 allows one in a hundred.
#
# Tighten what you know (a share lies between 0 and 1; a code comes from a fixed list) and set it to error; delete
# what says nothing. All types: https://greatexpectations.io/expectations
"""

# More categories than this say little, and nobody would read the list.
_MOST_CATEGORIES = 30
_LONGEST_CATEGORY = 80
# Fewer rows than this do not show which categories there are.
_FEWEST_ROWS_FOR_CATEGORIES = 50
# Fewer batches than this do not show how their sizes vary.
_FEWEST_BATCHES_FOR_SIZE = 3
_MARGIN_WARN = 0.5
_MARGIN_ERROR = 10.0
_MOSTLY_WARN = 0.99
_MOSTLY_ERROR = 0.9
_SIZE_FACTOR = 5
_MISSING_MORE = 0.2
_PRESENT_ERROR = 0.5


def infer(
    frames: Sequence[pd.DataFrame],
    target: str | None,
    key: Sequence[str] = (),
    time: str | None = None,
    optional: Collection[str] = (),
    sizes: Sequence[int] | None = None,
) -> list[dict[str, Any]]:
    """Return expectations (`{"type", "kwargs", "meta"}`) that hold for all of `frames`, one frame a batch.

    Numbers: wide limits as error, close ones as warn. Text of few categories: the categories, as warn, since a new one
    must not stop a batch. Missing values: at least half present as error if none was missing. The contract judges key
    and time, so they get no expectation. The target gets warnings only, and an `optional` column may have no value.
    Raises ExpectationsError without any row.
    sizes: the rows of each batch, where a frame is a sample of it.
    """
    filled = [frame.loc[:, ~frame.columns.duplicated()] for frame in frames if len(frame)]
    if not filled:
        raise ExpectationsError("infer: expected at least one batch with rows, got none.")
    rows = [size for size in sizes or map(len, frames) if size]
    expectations = [_size(rows)] if len(filled) >= _FEWEST_BATCHES_FOR_SIZE else []
    for name in dict.fromkeys(str(column) for frame in filled for column in frame.columns):
        if name in key or name == time:
            continue
        parts = [frame[name] for frame in filled if name in frame.columns]
        expectations += _of_column(name, pd.concat(parts, ignore_index=True), name == target, name in optional)
    return expectations


def write_suite(path: Path, name: str, expectations: Sequence[Mapping[str, Any]]) -> Path:
    """Write a suite as commented YAML, whole or not at all, and return its path.

    Raises ExpectationsError if `path` exists: a person may have edited it.
    """
    document = {"name": name, "expectations": [dict(expectation) for expectation in expectations]}
    # The name is within a comment and must not end it.
    text = _HEADER.format(name=" ".join(name.split())) + yaml.dump(
        document, Dumper=_PlainDumper, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        # A link, unlike a rename, fails if another process has made the path meanwhile.
        os.link(temporary, path)
    except FileExistsError as error:
        raise ExpectationsError(
            f"{path}: exists and is never overwritten; move it away to have it inferred anew."
        ) from error
    except OSError as error:
        raise ExpectationsError(f"{path}: cannot be written: {error.strerror}.") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return path


class _PlainDumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _size(rows: Sequence[int]) -> dict[str, Any]:
    limits = {"min_value": max(1, min(rows) // _SIZE_FACTOR), "max_value": max(rows) * _SIZE_FACTOR}
    return _expectation("expect_table_row_count_to_be_between", limits, "warn")


def _of_column(name: str, column: pd.Series, is_target: bool, may_be_empty: bool) -> list[dict[str, Any]]:
    kind = kind_of(column)
    expectations: list[dict[str, Any]] = []
    if kind == "number":
        expectations += _number_limits(name, numbers(column).dropna().astype("float64"), is_target)
    elif kind == "text" and len(column) >= _FEWEST_ROWS_FOR_CATEGORIES:
        expectations += _categories(name, column.dropna())
    if not is_target and not may_be_empty and kind != "null":
        expectations += _present(name, float(column.notna().mean()))
    return expectations


def _number_limits(name: str, values: pd.Series, is_target: bool) -> list[dict[str, Any]]:
    low, high = float(values.min()), float(values.max())
    reach = max(high - low, abs(low), abs(high))
    if not math.isfinite(2 * _MARGIN_ERROR * reach):
        return []
    expectations = []
    if high > low and not is_target:
        # In units of the largest magnitude, as first batches may show a small part of the range (two months of twelve);
        # not of every value, as counts and prices have long tails. A constant shows nothing of its range at all.
        margin = _MARGIN_ERROR * reach
        expectations.append(_between(name, low - margin, high + margin, "error", _MOSTLY_ERROR))
    near_low, near_high = float(values.quantile(0.001)), float(values.quantile(0.999))
    margin = _MARGIN_WARN * (near_high - near_low or abs(high) or 1.0)
    floor = max(near_low - margin, 0.0 if low >= 0 else -math.inf)
    return [*expectations, _between(name, floor, near_high + margin, "warn", _MOSTLY_WARN)]


def _categories(name: str, values: pd.Series) -> list[dict[str, Any]]:
    categories = sorted(str(value) for value in values.unique())
    if len(categories) > _MOST_CATEGORIES or any(len(category) > _LONGEST_CATEGORY for category in categories):
        return []
    kwargs = {"column": name, "value_set": categories, "mostly": 0.95}
    return [_expectation("expect_column_values_to_be_in_set", kwargs, "warn")]


def _present(name: str, share: float) -> list[dict[str, Any]]:
    kind = "expect_column_values_to_not_be_null"
    if share == 1:
        return [_expectation(kind, {"column": name, "mostly": _PRESENT_ERROR}, "error")]
    mostly = math.floor((share - _MISSING_MORE) * 100) / 100
    return [_expectation(kind, {"column": name, "mostly": mostly}, "warn")] if mostly > 0 else []


def _between(name: str, low: float, high: float, severity: str, mostly: float) -> dict[str, Any]:
    limits = {"min_value": _outward(low, math.floor), "max_value": _outward(high, math.ceil)}
    return _expectation("expect_column_values_to_be_between", {"column": name, **limits, "mostly": mostly}, severity)


def _expectation(kind: str, kwargs: dict[str, Any], severity: str) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs, "meta": {"severity": severity}}


def _outward(value: float, rounding: Any) -> float:
    """Return `value` to three significant digits, rounded away from the data: a limit that a person can read."""
    if abs(value) < sys.float_info.min:  # below it, division by a power of ten is not exact
        return float(rounding(math.copysign(1.0, value) * (value != 0) / 2)) * sys.float_info.min
    exponent = math.floor(math.log10(abs(value))) - 2
    return float(f"{rounding(value / 10.0**exponent)}e{exponent}")
