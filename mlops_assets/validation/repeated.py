"""Which rows are repeated, and how many values differ, in little memory: a table of hashes takes several times more."""

from __future__ import annotations

from typing import Any

from mlops_assets.disk_frame import ROWS_AT_ONCE
from mlops_assets.lazy import np, pd

MANY_ROWS = 1_000_000
"""From so many rows on, numbers of 64 bits for the rows are sorted in place of a table of hashes."""


def repeated_rows(keys: pd.DataFrame) -> pd.Series[Any]:
    """Return for each row (n,) whether another row is equal to it; missing values are equal to each other.

    Equal rows have equal numbers, so only rows whose number occurs twice are compared. Raise `TypeError` for cells that
    cannot be compared, such as lists.
    """
    if len(keys) < MANY_ROWS:
        return keys.duplicated(keep=False)
    numbers = _numbers(keys)
    ordered = np.sort(numbers)
    twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    del ordered
    repeated = np.isin(numbers, twice, kind="sort") if len(twice) else np.zeros(len(numbers), bool)
    if repeated.any():  # two rows may have the same number by chance
        repeated[repeated] = keys[repeated].duplicated(keep=False).to_numpy()
    return pd.Series(repeated, index=keys.index)


def distinct_values(column: pd.Series[Any]) -> int:
    """Return how many values differ, without missing ones."""
    if len(column) < MANY_ROWS or not isinstance(column.dtype, np.dtype) or column.dtype.kind not in "iufM":
        return int(column.nunique())
    ordered = np.sort(column.dropna().to_numpy())
    return int((ordered[1:] != ordered[:-1]).sum()) + (len(ordered) > 0)


def _numbers(keys: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Return a number (n,) for each row, equal for equal rows."""
    numbers = np.empty(len(keys), "uint64")
    for start in range(0, len(keys), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        numbers[rows] = pd.util.hash_pandas_object(_one_zero(keys.iloc[rows]), index=False).to_numpy()
    return numbers


def _one_zero(keys: pd.DataFrame) -> pd.DataFrame:
    """Return the keys with one zero: 0.0 and -0.0 are equal, and their bits are not."""
    floats = {name: keys[name] + 0.0 for name in keys.columns if keys[name].dtype.kind == "f"}
    return keys.assign(**floats)
