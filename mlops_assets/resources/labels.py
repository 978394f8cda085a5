"""Labels that come later than their rows: joined from the outcomes on the key, as far as they are known."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from mlops_assets.declaration import Declaration
from mlops_assets.resources.storage import Storage

if TYPE_CHECKING:
    import pandas as pd


def refresh_labels(model: Declaration, storage: Storage, batches: Collection[str] | None = None) -> None:
    """Join the outcomes known so far to these batches (all where None) and record which labels each has."""
    raise NotImplementedError


def read_labels(model: Declaration, storage: Storage, batch: str, version: str) -> "pd.Series":
    """The labels (n,) of all rows of a batch, NaN where none is known, at a recorded version."""
    raise NotImplementedError
