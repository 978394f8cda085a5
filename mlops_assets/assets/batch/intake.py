"""The intake of rows and of outcomes: a fault of a batch rejects the batch, any other fault fails the run."""

from collections.abc import Callable
from typing import TypeVar

import dagster as dg

from mlops_assets.checks import CheckOutcome
from mlops_assets.declaration import Declaration
from mlops_assets.errors import MlopsAssetsError, SourceError, SourceUnavailableError
from mlops_assets.lazy import pd
from mlops_assets.validation.schema import Schema

Result = TypeVar("Result")


def of_the_batch(act: Callable[[], Result]) -> Result | CheckOutcome:
    """Return the result of `act`, or the failed check "readable" with the reason if the batch is at fault.

    Readers of files raise anything, and a failed run is requested again. So an error counts as the batch's unless it is
    known to be the fault of the source, the declaration or the machine.
    """
    try:
        return act()
    except SourceUnavailableError:  # not the batch's fault: it is tried again
        raise
    except SourceError as error:
        return CheckOutcome("readable", False, str(error))
    except (MlopsAssetsError, dg.DagsterError, OSError, MemoryError):
        raise
    except Exception as error:  # readers of files raise anything, and a failed run is requested again
        said = f"cannot be read: {type(error).__name__}: {str(error)[:200]}. Mend the batch, or leave the column out"
        return CheckOutcome("readable", False, said)


def unused(model: Declaration) -> set[str]:
    """Return the columns that may hold anything: they are declared in `drop` and in no other field."""
    named = {*model.key, *model.slices, *model.where, model.time, model.group, model.known_at}
    return set(model.drop) - named


def judged_columns(model: Declaration, schema: "Schema") -> "Schema":
    """Return the schema without columns that may hold anything; optional ones that it lacks have no known kind yet."""

    columns = {name: kind for name, kind in schema.columns.items() if name not in unused(model)}
    columns |= {name: "null" for name in model.optional if name not in schema.columns}
    return Schema(columns, {name: batch for name, batch in schema.origins.items() if name in columns})


def as_texts(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a rejected batch as parquet can hold it; its columns may lack names or share one."""
    names = [name if isinstance(name, str) and name else f"column {place + 1}" for place, name in enumerate(frame)]
    unlike = [f"{name} ({place + 1})" if names.count(name) > 1 else name for place, name in enumerate(names)]
    return frame.set_axis(unlike, axis=1).astype(str)
