"""The version of the content of rows, as a hash."""

from __future__ import annotations

import hashlib
from typing import Any

from mlops_assets.disk_frame import LargeFrame
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
    texts = {
        place: [cell_text(value).encode("utf-8", "backslashreplace").decode() for value in frame.iloc[:, place]]
        for place in range(frame.shape[1])
    }
    return pd.util.hash_pandas_object(pd.DataFrame(texts, dtype=object), index=False).to_numpy()


def _shows_addresses(column: pd.Series) -> bool:
    """Return whether the text of some cells is their address, which differs each time that they are made."""
    kinds: set[Any] = set(map(type, column)) if column.dtype == object else set()
    return any(kind.__repr__ is object.__repr__ for kind in kinds)
