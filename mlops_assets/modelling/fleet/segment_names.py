"""The segment of each row, as a name."""

from __future__ import annotations

from typing import Any

from mlops_assets.errors import FeaturesError
from mlops_assets.lazy import np, pd
from mlops_assets.text import shown

NO_SEGMENT = ""


def segment_names(X: pd.DataFrame, by: str) -> np.ndarray:
    """Return the name (n,) of each row's segment from the column `by`; "" where it is missing.

    Whole numbers have one name whatever their type: a column of integers becomes floats where a value is missing.
    Raises `FeaturesError` without the column.
    """
    if by not in X.columns:
        raise FeaturesError(
            f"the column {by!r} that names the segment is missing; there are {shown(list(X.columns))}. "
            "Let the feature function return it."
        )
    codes, values = pd.factorize(X[by])
    names = np.array([*map(_name, values), NO_SEGMENT], dtype=object)
    return np.asarray(names[codes])


def _name(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
