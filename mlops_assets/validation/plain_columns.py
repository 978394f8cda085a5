"""Convert every type of pandas, pyarrow and databases to one of five kinds, or refuse it with the reason.

Numbers become float64 or int64, booleans bool (objects of True, False and NaN if some are missing). Text stays text.
Times become datetime64[us] in UTC without a zone, and a column without any value becomes float64.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from mlops_assets.checks import CheckOutcome
from mlops_assets.disk_frame import DiskFrame, LargeFrame
from mlops_assets.lazy import np, pa, pd
from mlops_assets.text import cell_text, listed, shown
from mlops_assets.validation.contract import first_faults

LARGEST_INTEGER = 2**63 - 1

_NUMBERS = (int, float, decimal.Decimal, np.integer, np.floating)
_BOOLEANS = (bool, np.bool_)
_TIMES = (datetime.date, np.datetime64, pd.Period)  # datetime and Timestamp are dates
_DURATIONS = (datetime.timedelta, np.timedelta64)
_AS_TEXT = (uuid.UUID, datetime.time, pd.Interval)
_LONGEST_REASON = 200


class _Refused(Exception):
    """Why a column cannot have one of the kinds, and the first row that shows it, from 0."""

    def __init__(self, row: Any, reason: str) -> None:
        super().__init__(reason)
        self.row = row


def plain_columns(frame: pd.DataFrame, dropped: Collection[str] = ()) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows, newly numbered, with every column of a plain kind; and a sentence for each column without one.

    A column that cannot be converted becomes text, so that the rejected rows can be kept. A `dropped` column is then
    left out without a sentence, since nobody uses it. Nothing is raised, whatever the cells hold.
    """
    frame = frame.reset_index(drop=True)
    faults, unused = [], []
    for position, name in enumerate(frame.columns):
        column = frame.iloc[:, position]
        try:
            converted = _plain(column)
        except Exception as problem:  # cells are objects of any library, whose methods may raise anything
            if name in dropped:
                unused.append(position)
                continue
            converted = _cells_as_text(column)
            faults.append(f"{shown(name)}: {_reason(column, problem)}; or list the column in `drop`")
        if converted is not column:
            frame.isetitem(position, converted.array)
    if unused:
        frame = frame.iloc[:, [place for place in range(frame.shape[1]) if place not in unused]]
    return frame, faults


def plain_on_disk(
    frame: LargeFrame, dropped: Collection[str] = (), kept: np.ndarray[Any, Any] | None = None
) -> tuple[DiskFrame, list[str]]:
    """Return the rows as `plain_columns`, on disk, with one column in memory at a time.

    kept: which rows (n,) count; all without it.
    """
    plain, faults = DiskFrame(), []
    for name in frame.columns:
        column = frame[name] if kept is None else frame[name][kept].reset_index(drop=True)
        alone = column.to_frame()
        try:
            converted = _plain(column)
        except Exception as problem:  # as in `plain_columns`
            if name in dropped:
                continue
            converted = _cells_as_text(column)
            faults.append(f"{shown(name)}: {_reason(column, problem)}; or list the column in `drop`")
        if converted is not column:
            alone.isetitem(0, converted.array)  # pandas may take another dtype here, as in `plain_columns`
        plain.put(name, alone.iloc[:, 0])
    return plain, faults


def with_faults(contract: list[CheckOutcome], faults: list[str]) -> list[CheckOutcome]:
    """Return the contract's outcomes with these faults added to "dtypes"; no check judges the texts of such columns."""
    outcomes = []
    for outcome in contract:
        if faults and outcome.name == "dtypes":
            messages = [*first_faults(faults), *([] if outcome.passed else [outcome.message])]
            outcome = replace(outcome, passed=False, message="; ".join(messages))
        outcomes.append(outcome)
    return outcomes


def _reason(column: pd.Series, problem: Exception) -> str:
    row = problem.row if isinstance(problem, _Refused) else 0
    reason = str(problem) if isinstance(problem, _Refused) else f"of type {column.dtype}, cannot be read ({problem})"
    value = shown(cell_text(column.iloc[row])) if len(column) else ""
    return f"row {row + 1}, {value}: {reason[:_LONGEST_REASON]}"


def _cells_as_text(column: pd.Series) -> pd.Series:
    """Return each cell as text that parquet can hold."""
    cells = [None if _is_missing(value) else value for value in column]
    texts = [value if value is None or isinstance(value, str) else cell_text(value) for value in cells]
    clean = [text if text is None else text.encode("utf-8", "backslashreplace").decode() for text in texts]
    return pd.Series(clean, dtype=object, name=column.name)


def _is_missing(value: Any) -> bool:
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def _plain(column: pd.Series) -> pd.Series:
    dtype, types = column.dtype, pd.api.types
    if isinstance(dtype, pd.ArrowDtype):
        return _plain(pd.Series(pa.array(column.array).to_pandas(), name=column.name))
    if isinstance(dtype, pd.SparseDtype):
        return _plain(pd.Series(np.asarray(column), name=column.name))
    if isinstance(dtype, pd.CategoricalDtype | pd.IntervalDtype):
        return _plain(column.astype(object))
    if isinstance(dtype, pd.PeriodDtype):
        return _plain(column.dt.to_timestamp())
    if types.is_datetime64_any_dtype(dtype):
        utc: pd.Series = (column if column.dt.tz is None else column.dt.tz_convert(None)).dt.as_unit("us")
        return utc
    if types.is_timedelta64_dtype(dtype):
        seconds: pd.Series = column.dt.total_seconds()
        return seconds
    if isinstance(dtype, np.dtype) and dtype in ("int64", "float64", "bool"):
        return column
    if types.is_bool_dtype(dtype) and isinstance(dtype, pd.BooleanDtype | np.dtype) and dtype.kind == "b":
        return _booleans(column)
    if types.is_complex_dtype(dtype):
        raise _Refused(0, "complex numbers; expected real ones: give the parts as columns of their own")
    if types.is_numeric_dtype(dtype):
        return _numbers(column)
    if isinstance(dtype, pd.StringDtype):
        return _text(column)
    return _objects(column.astype(object))


def _booleans(column: pd.Series) -> pd.Series:
    present = column.notna()
    return column.astype(bool) if present.all() else column.astype(object).where(present, np.nan)


def _numbers(column: pd.Series) -> pd.Series:
    """Return numbers of any width as int64, or as float64 if some are missing or have decimals."""
    dtype = column.dtype
    if pd.api.types.is_unsigned_integer_dtype(dtype) and column.notna().any():
        beyond = (column > LARGEST_INTEGER).fillna(False).to_numpy(bool)
        if beyond.any():
            raise _Refused(int(beyond.argmax()), _TOO_LARGE)
    if pd.api.types.is_integer_dtype(dtype) and column.notna().all():
        return column.astype("int64")
    return pd.Series(column.to_numpy("float64", na_value=np.nan), index=column.index, name=column.name)


_TOO_LARGE = (
    "an integer beyond 64 bits; expected at most 9223372036854775807: declare the dtype 'str' for an identifier or "
    "'float64' for a quantity at the source"
)


def _text(column: pd.Series) -> pd.Series:
    present, dtype = column[column.notna()], column.dtype
    if not isinstance(dtype, pd.StringDtype) or dtype.storage == "python":  # Arrow's text is whole by itself
        try:
            "".join(present).encode()
        except UnicodeEncodeError:
            row = next(row for row, text in present.items() if text.encode(errors="ignore").decode() != text)
            raise _Refused(row, "half a character (a lone surrogate); expected whole text") from None
    if not isinstance(dtype, pd.StringDtype) or dtype.na_value is not pd.NA:
        return column
    # scikit-learn's encoders cannot compare pandas' NA with text
    return column.astype(object).mask(column.isna(), np.nan).infer_objects()


def _objects(column: pd.Series) -> pd.Series:
    """Convert Python objects by the types of the values that are not missing."""
    present = column[column.notna()]
    if present.empty:
        return pd.Series(np.nan, index=column.index, name=column.name, dtype="float64")
    types = set(map(type, present))
    for family, convert in _FAMILIES:
        if all(issubclass(kind, family) and not _is_other(kind, family) for kind in types):
            return convert(column, present)
    raise _mixed(present)


def _is_other(kind: type, family: tuple[type, ...]) -> bool:
    """Return whether a kind is a number by its class only: Python booleans are integers, numpy durations numbers."""
    return family is _NUMBERS and issubclass(kind, (bool, np.timedelta64))


def _mixed(present: pd.Series) -> _Refused:
    """Name the types, and the first row whose value is not plain, else is of another type than the first."""
    names = listed(dict.fromkeys(type(value).__name__ for value in present))
    for row, value in present.items():
        if not isinstance(value, (str, *_NUMBERS, *_BOOLEANS)):
            return _Refused(row, f"values of type {names}; expected numbers, text, booleans or times: convert them")
    other = next(row for row, value in present.items() if type(value) is not type(present.iloc[0]))
    return _Refused(other, f"several types in one column: {names}; expected one type: convert them")


def _object_numbers(column: pd.Series, present: pd.Series) -> pd.Series:
    if all(isinstance(value, int | np.integer) for value in present):
        for row, value in present.items():
            if not -LARGEST_INTEGER - 1 <= int(value) <= LARGEST_INTEGER:
                raise _Refused(row, _TOO_LARGE)
        if len(present) == len(column):
            return column.astype("int64")
    return _with_missing(column, present.map(_as_float), "float64")


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of 310 digits; the contract reports it as infinite
        return float("inf") if value > 0 else float("-inf")


def _object_times(column: pd.Series, present: pd.Series) -> pd.Series:
    """Return times as numpy's, which hold the years 1 to 9999 as Python's do."""
    moments = []
    for row, value in present.items():
        try:
            moments.append(_moment(value))
        except (ValueError, OverflowError) as problem:
            raise _Refused(row, f"a time that cannot be held ({problem})") from None
    return _with_missing(column, pd.Series(moments, index=present.index, dtype="datetime64[us]"), "datetime64[us]")


def _moment(value: Any) -> np.datetime64:
    if isinstance(value, pd.Period):
        value = value.to_timestamp()
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    if isinstance(value, pd.Timestamp):
        value = value.to_datetime64()
    return np.datetime64(value, "us")


def _object_durations(column: pd.Series, present: pd.Series) -> pd.Series:
    return _with_missing(column, present.map(lambda value: pd.Timedelta(value).total_seconds()), "float64")


def _object_text(column: pd.Series, present: pd.Series) -> pd.Series:
    known = column if len(present) == len(column) else column.where(column.notna(), np.nan)
    return _text(known) if all(type(value) is str for value in present) else _as_text(known, present)


def _as_text(column: pd.Series, present: pd.Series) -> pd.Series:
    texts = present.map(lambda value: str.__str__(value) if isinstance(value, str) else str(value))
    return _text(_with_missing(column, texts, object))


def _with_missing(column: pd.Series, present: pd.Series, dtype: Any) -> pd.Series:
    """Return the present values in their rows, and the dtype's missing value in the others."""
    return present.astype(dtype).reindex(column.index).astype(dtype)


_FAMILIES: tuple[tuple[tuple[type, ...], Callable[[pd.Series, pd.Series], pd.Series]], ...] = (
    ((str,), _object_text),
    (_BOOLEANS, lambda column, _: _booleans(column)),
    (_NUMBERS, _object_numbers),
    (_TIMES, _object_times),
    (_DURATIONS, _object_durations),
    (_AS_TEXT, _as_text),
)
