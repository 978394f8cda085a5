"""The version of the content of rows, as a hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from mlops_assets.disk_frame import LargeFrame
from mlops_assets.errors import MlopsAssetsError
from mlops_assets.lazy import np, pd
from mlops_assets.text import cell_text


def data_version(frame: pd.DataFrame | LargeFrame) -> str:
    """Return 16 hex digits from column names, dtypes, values and their order; the index does not count.

    Text counts as one dtype, however pandas stores it, so that versions survive a change of pandas. Rows have the same
    version in memory and on disk.
    """
    digest = hashlib.sha256(f"{len(frame)} rows".encode())
    dtypes = frame.dtypes.values() if isinstance(frame, LargeFrame) else frame.dtypes
    for name, dtype in zip(frame.columns, dtypes, strict=True):
        label = "text" if pd.api.types.is_string_dtype(dtype) or dtype.kind == "O" else str(dtype)
        digest.update(f"|{name!r}:{label}".encode("utf-8", "surrogatepass"))
    if frame.shape[1]:
        for rows in frame.chunks() if isinstance(frame, LargeFrame) else [frame]:
            digest.update(row_hashes(rows).astype("<u8").tobytes())
    return digest.hexdigest()[:16]


def row_hashes(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Return a number for each row; cells that cannot be hashed, such as lists, count by their text."""
    try:
        if not any(_shows_addresses(column) for _, column in frame.items()):
            return pd.util.hash_pandas_object(frame, index=False).to_numpy()
    except Exception:  # cells are objects of any library; such a batch is rejected later, with its row
        pass
    texts = {place: _texts(frame.iloc[:, place]) for place in range(frame.shape[1])}
    return pd.util.hash_pandas_object(pd.DataFrame(texts, dtype=object), index=False).to_numpy()


def row_hashes_by_column(frame: LargeFrame) -> np.ndarray[Any, Any]:
    """Return what `row_hashes` of all rows in memory returns, with one column in memory at a time."""
    names = list(frame.columns)
    try:
        return _combined((_hashes(frame.column(name)) for name in names), len(names))
    except MlopsAssetsError:
        raise
    except Exception:  # as above
        texts = (pd.Series(_texts(frame.column(name)), dtype=object) for name in names)
        return _combined(map(_hashes, texts), len(names))


def _hashes(column: pd.Series) -> np.ndarray[Any, Any]:
    if _shows_addresses(column):
        raise ValueError("cells whose text is their address")
    return pd.util.hash_pandas_object(column, index=False).to_numpy()


def _combined(hashes: Iterable[np.ndarray[Any, Any]], number: int) -> np.ndarray[Any, Any]:
    """Return the hash of each row from those of its cells, as pandas combines them: as a tuple's in CPython."""
    total: Any = np.uint64(0x345678)
    factor = np.uint64(1_000_003)
    for place, column in enumerate(hashes):
        total = (total ^ column) * factor
        factor = factor + np.uint64(82_520 + 2 * (number - place))
    return np.asarray(total + np.uint64(97_531))


def _texts(column: pd.Series) -> list[str]:
    return [cell_text(value).encode("utf-8", "backslashreplace").decode() for value in column]


def _shows_addresses(column: pd.Series) -> bool:
    """Return whether the text of some cells is their address, which differs each time that they are made."""
    kinds: set[Any] = set(map(type, column)) if column.dtype == object else set()
    return any(kind.__repr__ is object.__repr__ for kind in kinds)
