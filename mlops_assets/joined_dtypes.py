"""The dtype that a column has as a whole, from the dtypes of its parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlops_assets.lazy import np, pd


def joined_dtype(parts: Iterable[tuple[Any, bool]]) -> Any:
    """Return the dtype of a column from those of its parts, each with whether the part has no value at all.

    It is what pandas gives to the whole column: a part without values says nothing but that values are missing.
    """
    known = list(parts)
    dtypes = dict.fromkeys(dtype for dtype, empty in known if not empty)
    if not dtypes:
        return known[0][0] if known else np.dtype("float64")
    gaps = any(empty for _, empty in known)
    if len(dtypes) == 1:
        (dtype,) = dtypes
        if not gaps or not isinstance(dtype, np.dtype) or dtype.kind not in "iub":
            return dtype
        return np.dtype(object if dtype.kind == "b" else "float64")
    plain = all(isinstance(dtype, np.dtype) and dtype.kind in "iuf" for dtype in dtypes)
    if not plain:
        return np.dtype(object)
    return np.result_type(*dtypes, *(["float64"] if gaps else []))


def cast(values: pd.Series[Any], dtype: Any) -> pd.Series[Any]:
    """Return the values in the dtype of the whole column."""
    if values.dtype == dtype:
        if is_object(dtype):  # Arrow gives None where pandas has NaN
            return values.where(values.notna(), np.nan) if values.isna().any() else values
        return values
    if is_object(dtype):
        return values.astype(object).where(values.notna(), np.nan)
    if isinstance(dtype, np.dtype) and dtype.kind == "M" and not values.notna().any():
        return pd.Series(pd.NaT, index=values.index, dtype=dtype, name=values.name)
    return values.astype(dtype)


def is_object(dtype: Any) -> bool:
    """Return whether cells are Python objects."""
    return isinstance(dtype, np.dtype) and dtype.kind == "O"
