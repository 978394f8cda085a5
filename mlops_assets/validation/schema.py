"""The columns of a batch and the kind of values in each, as far as the contract between batches needs it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mlops_assets.disk_frame import DiskFrame, LargeFrame
from mlops_assets.lazy import np, pd
from mlops_assets.text import shown

_KIND_OF_INFERRED = {
    "string": "text",
    "integer": "number",
    "floating": "number",
    "mixed-integer-float": "number",
    "decimal": "number",
    "boolean": "boolean",
    "datetime64": "time",
    "datetime": "time",
    "date": "time",
    "period": "time",
    "empty": "null",
}


@dataclass(frozen=True)
class Schema:
    """Column name -> kind.

    Kinds: "number" (integers and floats alike: one missing value turns the first into the second), "text", "boolean",
    "time", "null" (all values missing: says nothing about the kind) and "mixed" (several types in one column, or values
    such as bytes and lists).
    origins: column -> the batch that its kind was learnt from, if known.
    generation: how often newly learnt kinds replaced others.
    """

    columns: dict[str, str]
    origins: dict[str, str] = field(default_factory=dict)
    generation: int = 0

    def merged(self, other: Schema) -> Schema:
        """Return the same columns, with every "null" kind replaced by that column's kind in `other`."""
        unknown = {name for name, kind in self.columns.items() if kind == "null" and name in other.columns}
        origins = {name: batch for name, batch in other.origins.items() if name in unknown}
        return Schema(self.columns | {name: other.columns[name] for name in unknown}, self.origins | origins)

    def conflicts(self, other: Schema) -> list[str]:
        """Return a sentence for each column whose kind differs in `other`."""
        return [
            f"{shown(name)}: {other.columns[name]}, but {kind}{self.origin(name)}"
            for name, kind in self.columns.items()
            if "null" not in (kind, other.columns.get(name, "null")) and kind != other.columns[name]
        ]

    def origin(self, name: str) -> str:
        """Return words that name the batch from which the kind of a column was learnt; "" if unknown."""
        return f" as in batch {shown(self.origins[name])}" if name in self.origins else ""


def schema_of(frame: pd.DataFrame | LargeFrame, batch: str = "") -> Schema:
    """Return the schema of `frame`; of equal names the first counts. `batch` becomes the origin of known kinds."""
    distinct = frame if isinstance(frame, LargeFrame) else frame.loc[:, ~frame.columns.duplicated()]
    columns = {str(name): kind_of(distinct[name]) for name in distinct.columns}
    return Schema(columns, {name: batch for name, kind in columns.items() if batch and kind != "null"})


def kind_of(column: pd.Series) -> str:
    """Return the kind of a column, judged by its non-missing values."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object).infer_objects()
    if not column.notna().any():
        return "null"
    types = pd.api.types
    if types.is_bool_dtype(column.dtype):
        return "boolean"
    if types.is_numeric_dtype(column.dtype) and not types.is_complex_dtype(column.dtype):
        return "number"
    if types.is_datetime64_any_dtype(column.dtype):
        return "time"
    return _KIND_OF_INFERRED.get(types.infer_dtype(column, skipna=True), "mixed")


def numbers(column: pd.Series) -> pd.Series:
    """Return numpy numbers: an integer type if nothing is missing, else float64. Any other value becomes NaN."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object).infer_objects()
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf":
        return column
    # Python strings, as the parser of pandas' own text type raises on some of its values.
    try:
        parsed = pd.to_numeric(column.astype(object), errors="coerce")
    except OverflowError:  # an integer beyond 64 bits
        parsed = pd.to_numeric(column.astype(object).map(_float_of), errors="coerce")
    if isinstance(parsed.dtype, np.dtype) and parsed.dtype.kind in "iu":
        return parsed
    return parsed.astype("float64")


def _float_of(value: Any) -> Any:
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        return value if isinstance(value, str) else None


def not_numbers(column: pd.Series) -> pd.Series:
    """Return which values of `column` are present but are not numbers (boolean Series)."""
    return column.notna() & numbers(column).isna()


def normalise(frame: pd.DataFrame, schema: Schema | None) -> pd.DataFrame:
    """Return `frame` with columns columns to their kind in `schema`, if all of their values can be.

    "number" becomes numpy numbers, "time" times, "boolean" booleans if all values are 0 or 1. Text without any value
    gets the type of text. Other columns stay unchanged (the contract's dtypes check names them): text never becomes
    NaN. Without a schema, for the first batch, no kind is known and nothing changes.
    """
    if schema is None:
        return frame
    once = [name for name in schema.columns if list(frame.columns).count(name) == 1]
    columns = {name: _as_kind(frame[name], schema.columns[name]) for name in once}
    return frame.assign(**{name: column for name, column in columns.items() if column is not None})


def normalise_on_disk(frame: DiskFrame, schema: Schema | None) -> None:
    """Convert the columns of `frame` as `normalise`, in place, one in memory at a time."""
    for name in [name for name in (schema.columns if schema else {}) if name in frame.columns]:
        column = _as_kind(frame[name], schema.columns[name]) if schema else None
        if column is not None:
            frame.put(name, column)


def _as_kind(column: pd.Series, expected: str) -> pd.Series | None:
    """Return a column in its expected kind, None for a column that stays unchanged."""
    kind = kind_of(column)
    if expected == "number" and kind in ("number", "text", "null") and not not_numbers(column).any():
        return numbers(column)
    if expected == "time" and kind in ("text", "null") and not (moments := times(column)).isna()[column.notna()].any():
        utc: pd.Series = moments.dt.tz_localize(None).dt.as_unit("us")
        return utc
    if expected == "text" and kind == "null":  # the type that pandas gives to text
        return pd.Series([""], dtype=None).reindex(range(1, len(column) + 1)).set_axis(column.index)
    if expected == "boolean" and kind == "number" and column.dropna().isin([0, 1]).all():
        return column.astype("boolean").astype(object).mask(column.isna(), np.nan).infer_objects()
    return None


def with_columns(frame: pd.DataFrame, optional: Sequence[str]) -> pd.DataFrame:
    """Return `frame` with each missing optional column added, without values."""
    return frame.assign(**{name: np.nan for name in optional if name not in frame.columns})


def put_missing(frame: DiskFrame, optional: Sequence[str]) -> None:
    """Add each missing optional column to `frame`, without values."""
    for name in optional:
        if name not in frame.columns:
            frame.put(name, pd.Series(np.full(len(frame), np.nan)))


def times(column: pd.Series) -> pd.Series:
    """Return `column` as times in UTC, NaT for other values; bare numbers are not times, as their unit is unknown."""
    if kind_of(column) not in ("time", "text", "null"):
        return pd.Series(pd.NaT, index=column.index, dtype="datetime64[ns, UTC]")
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    if not pd.api.types.is_datetime64_any_dtype(column.dtype):
        column = column.astype(object)
    with warnings.catch_warnings():  # texts that are not times are NaT, as documented
        warnings.filterwarnings("ignore", "Could not infer format")
        parsed = pd.to_datetime(column, errors="coerce", utc=True)
    unread = column.notna() & parsed.isna()
    if unread.any() and not unread.all():
        # The format is guessed from the first value; only the rest is worth parsing value by value.
        parsed = parsed.mask(unread, pd.to_datetime(column, errors="coerce", utc=True, format="mixed"))
    return parsed
