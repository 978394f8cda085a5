"""Features of a batch that does not fit into memory: some rows at a time, each with the rows of its lookback."""

from __future__ import annotations

from collections.abc import Iterator

from mlops_assets.declaration import Declaration
from mlops_assets.disk_frame import DiskFrame, LargeFrame, StoredFrame, without
from mlops_assets.errors import FeaturesError
from mlops_assets.lazy import pd
from mlops_assets.modelling.features import compute
from mlops_assets.modelling.recipe import text_of
from mlops_assets.text import shown


def compute_by_chunk(model: Declaration, batch: StoredFrame, history: pd.DataFrame) -> LargeFrame:
    """Return the features of a batch: its own columns, or those of a function that is declared `chunked`.

    The function gets some rows as batch. Its history are the rows before them within the lookback, of earlier batches
    and of this one. Raise `FeaturesError` for a function that is not declared `chunked`, and for rows that are not in
    order of time where there is a lookback.
    """
    if model.features is None:
        selected: LargeFrame = without(batch, model.not_features)
        return selected
    if not model.chunked:
        raise FeaturesError(
            f"features function {text_of(model.features)}: the batch has {len(batch):,} rows x {len(batch.columns)} "
            f"columns, more than limits.memory_mb={model.source.limits.memory_mb:g} of the source. Declare "
            "`chunked=True` if the features of a row depend on no row but itself and those within its `lookback`; "
            "else raise limits.memory_mb, or make the batches smaller"
        )
    return DiskFrame.of_chunks(_computed(model, batch, history))


def with_history(
    model: Declaration, batch: LargeFrame, history: pd.DataFrame
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield some rows of a batch at a time, each with the rows before them within the lookback."""
    before, latest = history, None
    for chunk in batch.chunks():
        if not (model.lookback and model.time):
            yield chunk, chunk.iloc[:0]
            continue
        times = chunk[model.time]
        if not times.is_monotonic_increasing or (latest is not None and times.iloc[0] < latest):
            raise FeaturesError(
                f"the batch does not fit into memory, and its rows are not in order of {shown(model.time)}, which "
                "`lookback` needs there. Sort the rows of the file by it, or raise limits.memory_mb"
            )
        since = times.iloc[0] - pd.Timedelta(model.lookback)
        before = before[before[model.time] >= since].reset_index(drop=True)
        yield chunk, before
        latest = times.iloc[-1]
        recent = chunk[times >= latest - pd.Timedelta(model.lookback)]
        before = recent if before.empty else pd.concat([before, recent], ignore_index=True)


def _computed(model: Declaration, batch: LargeFrame, history: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for chunk, before in with_history(model, batch, history):
        yield compute(model.features, chunk, before, model.not_features)
