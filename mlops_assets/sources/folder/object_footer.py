"""The periods of a parquet object by the statistics of its footer, so that few objects are copied for one period."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from mlops_assets.lazy import pa, pd
from mlops_assets.sources import Folder, Period
from mlops_assets.sources.folder.listing import File
from mlops_assets.sources.object_store import answer, opened_store
from mlops_assets.sources.periods import period_key

_SECONDS = 60.0


def periods_by_footer(folder: Folder, file: File, period: Period) -> tuple[str, ...] | None:
    """Return the periods of the rows; None where the footer does not tell them, and the rows have to be read.

    It tells them where each row group has a time in each row, all of one period, and times are times.
    """
    store, _ = opened_store(folder.path)

    def footer() -> Any:
        with store.open_input_file(file.path) as source:
            reader = pa.parquet.ParquetFile(source)
            return reader.metadata, reader.schema_arrow

    try:
        metadata, schema = answer(folder.path, footer, _SECONDS)
        return _periods(metadata, schema, str(folder.time), period)
    except (
        FileNotFoundError,
        pa.ArrowException,
        ValueError,
        KeyError,
        TypeError,
    ):  # the rows say more
        return None


def _periods(metadata: Any, schema: pa.Schema, time: str, period: Period) -> tuple[str, ...] | None:
    kind = schema.field(time).type
    if not pa.types.is_timestamp(kind) and not pa.types.is_date(kind):
        return None
    place = next(at for at in range(metadata.num_columns) if metadata.schema.column(at).path == time)
    found: set[str] = set()
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(place).statistics
        if statistics is None or not statistics.has_min_max or not statistics.has_null_count or statistics.null_count:
            return None
        keys = {period_key(_in_utc(moment), period) for moment in (statistics.min, statistics.max)}
        if len(keys) > 1:
            return None
        found |= keys
    return tuple(sorted(found)) or None


def _in_utc(moment: datetime | date) -> pd.Timestamp:
    stamp = pd.Timestamp(moment)
    return stamp if stamp.tz is None else stamp.tz_convert("UTC").tz_localize(None)
