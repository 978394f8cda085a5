"""`where`: the rows of a source that belong to a model, selected by equality with declared values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from mlops_assets.checks import CheckOutcome
from mlops_assets.disk_frame import DiskFrame, LargeFrame
from mlops_assets.errors import SourceError
from mlops_assets.lazy import np, pd
from mlops_assets.text import listed, shown
from mlops_assets.validation.schema import kind_of, not_numbers, numbers

Where = Mapping[str, Any]
"""Column to a value, or to a list of values; a row must have one of them in each column."""

_BOOLEANS = {"true": True, "1": True, "1.0": True, "false": False, "0": False, "0.0": False}
_BOOLEAN_TEXTS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}
"""What pandas reads as booleans in a CSV file."""


def rows_of(frame: pd.DataFrame, where: Where) -> pd.DataFrame:
    """Return the rows whose columns have the declared values, newly numbered; SourceError for an unknown column.

    A value is read as the column's kind: number, time, boolean, or else text. So "1" and 1 are equal. A value that
    cannot be read so matches no cell, and a missing cell matches no value.
    """
    for column in where:
        if list(frame.columns).count(column) != 1:
            raise SourceError(f"where: no column {shown(column)} (columns: {listed(frame.columns, 20)})")
    for column, values in where.items():
        frame = frame[_equal(frame[column], values if isinstance(values, list) else [values])]
    return frame.reset_index(drop=True) if where else frame


def kept_rows(frame: LargeFrame, where: Where) -> np.ndarray[Any, Any] | None:
    """Return which rows (n,) `rows_of` returns; None for all."""
    kept = None
    for column, values in where.items():
        if column not in frame.columns:
            raise SourceError(f"where: no column {shown(column)} (columns: {listed(frame.columns, 20)})")
        equal = _equal(frame[column], values if isinstance(values, list) else [values]).to_numpy(bool)
        kept = equal if kept is None else kept & equal
    return kept


def put_own_kinds(frame: DiskFrame, inferred: Collection[str]) -> None:
    """Convert text columns of `frame` as `with_own_kinds`, in place, one in memory at a time."""
    for name in frame.columns:
        if name in inferred:
            column = with_own_kinds(frame[[name]], inferred)[name]
            if column.dtype != frame.dtypes[name]:
                frame.put(name, column)


def with_own_kinds(frame: pd.DataFrame, inferred: Collection[str]) -> pd.DataFrame:
    """Return the rows, with text columns converted to numbers or booleans if only other rows made them text.

    inferred: columns whose kind the reader inferred from all rows of a file.
    """
    changed = {}
    for name in frame.columns:
        if name not in inferred or kind_of(column := frame[name]) != "text":
            continue
        if not not_numbers(column).any():
            changed[name] = numbers(column)
        elif column.dropna().isin(_BOOLEAN_TEXTS).all():
            changed[name] = column.map(_BOOLEAN_TEXTS).infer_objects()
    return frame.assign(**changed)


def with_where(outcomes: list[CheckOutcome], where: Where) -> list[CheckOutcome]:
    """Return the same outcomes; the outcome on the number of rows says which rows were counted."""
    text = f" where {_text(where)}" if where else ""
    return [
        replace(outcome, message=outcome.message + text) if outcome.name == "row_count" else outcome
        for outcome in outcomes
    ]


def _text(where: Where) -> str:
    """Return the declared values in words: `region is 'north' or 'south', year is 2024`."""
    texts = []
    for column, values in where.items():
        options = [shown(value) for value in (values if isinstance(values, list) else [values])]
        more = [f"{len(options) - 5} more"] if len(options) > 5 else []
        texts.append(f"{column} is {' or '.join([*options[:5], *more])}")
    return ", ".join(texts)


def _equal(column: pd.Series, values: list[Any]) -> pd.Series:
    kind = kind_of(column)
    if kind == "number":
        wanted = [number for value in values if (number := _number(value)) is not None]
        return numbers(column).isin(wanted) & column.notna()
    if kind == "boolean":
        return column.isin([_BOOLEANS[text] for value in values if (text := str(value).lower()) in _BOOLEANS])
    if kind == "time":
        moments = pd.to_datetime(pd.Series(values).astype(str), utc=True, errors="coerce", format="mixed")
        return pd.to_datetime(column, utc=True, errors="coerce").isin(moments.dropna())
    return column.notna() & column.astype(object).map(str).isin({str(value) for value in values})


def _number(value: Any) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(value) if isinstance(value, str) else value  # an integer beyond 2**53 stays exact
        except ValueError:
            continue
    return None
