"""A batch of a source, read in memory and on disk."""

from typing import Any

from mlops_assets.disk_frame import LargeFrame
from mlops_assets.errors import SourceError
from mlops_assets.sources import Limits
from mlops_assets.sources.built_in import BuiltIn
from mlops_assets.sources.data_version import data_version
from mlops_assets.sources.reading import read_rows
from mlops_assets.validation.plain_columns import plain_columns, plain_on_disk

SMALL = Limits(memory_mb=1e-6)


def read_both_ways(source: BuiltIn, key: str) -> list[Any]:
    """What is read in memory, then on disk: columns, checked columns, faults, version and rows, or the error's text."""
    outcomes: list[Any] = []
    for limits in (Limits(), SMALL):
        try:
            rows = read_rows(source.model_copy(update={"limits": limits}), key)
        except SourceError as problem:
            outcomes.append(str(problem))
            continue
        assert isinstance(rows, LargeFrame) == (limits is SMALL)
        plain, faults = plain_on_disk(rows) if limits is SMALL else plain_columns(rows)
        names = list(rows.columns)
        outcomes.append((rows[names], plain[names], faults, data_version(plain), len(rows)))
    return outcomes
