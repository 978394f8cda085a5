"""What the intake of rows and of outcomes share: a fault of a batch rejects it, any other fails the run."""

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
    """What `act` gives, or the failed check "readable" with the reason where the batch is at fault.

    A run that fails is asked for again, and readers of files raise anything, each time anew: so what is not known to be
    the fault of the source, the declaration or the machine counts as the batch's.
    """
    try:
        return act()
    except SourceUnavailableError:  # says nothing of the batch, which is tried again
        raise
    except SourceError as error:
        return CheckOutcome("readable", False, str(error))
    except (MlopsAssetsError, dg.DagsterError, OSError, MemoryError):
        raise
    except Exception as error:  # readers of files raise anything, and a run that fails for it is asked for again
        said = f"cannot be read: {type(error).__name__}: {str(error)[:200]}. Mend the batch, or leave the column out"
        return CheckOutcome("readable", False, said)


def unused(model: Declaration) -> set[str]:
    """Columns that may hold anything: they are declared as dropped, and nothing else is declared of them."""
    named = {*model.key, *model.slices, *model.where, model.time, model.group, model.known_at}
    return set(model.drop) - named


def judged_columns(model: Declaration, schema: "Schema") -> "Schema":
    """The schema without the columns that may hold anything; optional ones that it lacks are of no known kind yet."""

    columns = {name: kind for name, kind in schema.columns.items() if name not in unused(model)}
    columns |= {name: "null" for name in model.optional if name not in schema.columns}
    return Schema(columns, {name: batch for name, batch in schema.origins.items() if name in columns})


def as_texts(frame: "pd.DataFrame") -> "pd.DataFrame":
    """What parquet can hold of a rejected batch, whose columns may have no names, or one name twice."""
    names = [name if isinstance(name, str) and name else f"column {place + 1}" for place, name in enumerate(frame)]
    unlike = [f"{name} ({place + 1})" if names.count(name) > 1 else name for place, name in enumerate(names)]
    return frame.set_axis(unlike, axis=1).astype(str)
