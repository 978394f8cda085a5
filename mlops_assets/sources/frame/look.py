"""Which batches of a `Frame` are ready."""

from __future__ import annotations

from collections.abc import Mapping

from mlops_assets.lazy import pd
from mlops_assets.sources import Frame, Look, Waiting
from mlops_assets.sources.data_version import data_version
from mlops_assets.sources.frame.batches import batches_of
from mlops_assets.sources.periods import ready_periods


def look(source: Frame, _: Mapping[str, str] | None, now: pd.Timestamp) -> Look:
    """Return which batches are ready, each marked with its data version. SourceError when the callable fails."""
    marks: dict[str, str] = {}
    clashes = []
    for key, batch in batches_of(source):
        if key in marks:
            clashes.append(Waiting(key, "yielded twice: the first is taken; expected each key once"))
        else:
            marks[key] = data_version(batch)
    if source.period is None:
        return Look(marks, tuple(clashes))
    return Look(*ready_periods(marks, source.period, now))
