"""One batch of a `Frame` read."""

from __future__ import annotations

from mlops_assets.errors import SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources.frame.batches import batches_of
from mlops_assets.sources.frame.source import Frame


def read(source: Frame, key: str) -> pd.DataFrame:
    """Return all rows of a batch; SourceError when it is not there, too large or of an unsafe name."""
    for name, batch in batches_of(source, only=key):
        if name == key:
            return batch
    raise SourceError("the callable no longer gives it. Correct it, or give up the batch")
