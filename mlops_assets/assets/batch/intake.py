"""The intake of rows and of outcomes: a fault of a batch rejects the batch, any other fault fails the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import dagster as dg

from mlops_assets.assets.shared.keys import MARK
from mlops_assets.assets.shared.metadata import observation
from mlops_assets.checks import CheckOutcome
from mlops_assets.declaration import Declaration
from mlops_assets.disk_frame import DiskFrame, LargeFrame
from mlops_assets.errors import MlopsAssetsError, SourceError, SourceUnavailableError
from mlops_assets.lazy import pd
from mlops_assets.records.batches import BatchRecord
from mlops_assets.records.model_records import ModelRecords
from mlops_assets.records.outcomes import OutcomesRecord
from mlops_assets.sources.data_version import data_version
from mlops_assets.validation.schema import Schema

Result = TypeVar("Result")


def of_the_batch(act: Callable[[], Result]) -> Result | CheckOutcome:
    """Return the result of `act`, or the failed check "readable" with the reason if the batch is at fault.

    Readers of files raise anything, and a failed run is requested again. So an error is the batch's fault unless its
    type says that source, declaration or machine is at fault.
    """
    try:
        return act()
    except SourceUnavailableError:  # not the batch's fault: it is tried again
        raise
    except SourceError as error:
        return CheckOutcome("readable", False, str(error))
    except (MlopsAssetsError, dg.DagsterError, OSError, MemoryError):
        raise
    except Exception as error:  # readers of files raise anything on a bad file
        reason = f"cannot be read: {type(error).__name__}: {str(error)[:200]}. Mend the batch, or leave the column out"
        return CheckOutcome("readable", False, reason)


def readable(frame: pd.DataFrame | LargeFrame) -> CheckOutcome:
    """Return the passed check "readable" with the size of the batch."""
    return CheckOutcome("readable", True, f"{len(frame):,} rows x {frame.shape[1]} columns")


def store_rejected(
    records: ModelRecords,
    kind: str,
    frame: pd.DataFrame | DiskFrame | None,
    faults: list[str],
    context: dg.AssetExecutionContext,
) -> tuple[str | None, int]:
    """Store the rows of a rejected batch for a person to look at, and show why; return their version and number."""
    version, rows, batch = None, 0, context.partition_key
    if frame is not None:
        version, rows = data_version(frame), len(frame)
        if isinstance(frame, DiskFrame):
            records.write_chunks(kind, batch, version, map(as_texts, frame.chunks()))
        else:
            records.write_frame(kind, batch, version, as_texts(frame))
    # Checks show the newest batch only; the observation stays with the asset's events.
    values = {"rejected_because": "\n".join(faults), "rows": rows}
    context.log_event(observation(context.asset_key, values, partition=batch))
    return version, rows


def mark_of(context: dg.AssetExecutionContext, before: BatchRecord | OutcomesRecord | None) -> str:
    """Return the mark of the source that the run was asked to read.

    A manual run has no mark: the recorded one stays, else the sensor would request the batch again at every tick.
    """
    return context.run.tags.get(MARK) or (before.mark if before is not None else "")


def unused(model: Declaration) -> set[str]:
    """Return the columns that may hold anything: they are declared in `drop` and in no other field."""
    return set(model.drop) - {*model.key, *model.slices, *model.where, model.time, model.group, model.known_at}


def judged_columns(model: Declaration, schema: Schema) -> Schema:
    """Return the schema without columns that may hold anything; optional ones that it lacks have no known kind yet."""
    columns = {name: kind for name, kind in schema.columns.items() if name not in unused(model)}
    columns |= {name: "null" for name in model.optional if name not in schema.columns}
    return Schema(columns, {name: batch for name, batch in schema.origins.items() if name in columns})


def as_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a rejected batch as parquet can hold it; its columns may lack names or share one."""
    names = [name if isinstance(name, str) and name else f"column {place + 1}" for place, name in enumerate(frame)]
    unique = [f"{name} ({place + 1})" if names.count(name) > 1 else name for place, name in enumerate(names)]
    return frame.set_axis(unique, axis=1).astype(str)
