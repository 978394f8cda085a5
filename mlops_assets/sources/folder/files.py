"""The files of a `Folder`, each with a key of its own, and the periods that are in them."""

from __future__ import annotations

import math
from functools import lru_cache

from mlops_assets.errors import SourceError, SourceUnavailableError
from mlops_assets.file_systems import is_local
from mlops_assets.lazy import pd
from mlops_assets.sources import Folder, Period, Waiting
from mlops_assets.sources.folder.csv_files import read_csv_column
from mlops_assets.sources.folder.listing import File
from mlops_assets.sources.folder.local_listing import list_local
from mlops_assets.sources.folder.object_footer import periods_by_footer
from mlops_assets.sources.folder.object_listing import find_object, list_objects
from mlops_assets.sources.folder.opening import is_allowed, open_file
from mlops_assets.sources.folder.parquet_files import read_parquet_column
from mlops_assets.sources.object_store import ANSWER_SECONDS
from mlops_assets.sources.periods import period_keys
from mlops_assets.sources.times import parse_times


def files_of(folder: Folder, seconds: float = ANSWER_SECONDS) -> tuple[list[File], list[Waiting]]:
    """Return the files, each with a key of its own, and those that cannot have one.

    OSError where the folder cannot be listed, SourceUnavailableError where its store gives no answer for `seconds`.
    """
    files: dict[str, File] = {}
    clashes = []
    found = list_local(folder.path) if is_local(folder.path) else list_objects(folder.path, seconds)
    for file in found:
        if file.key in files:
            clashes.append(Waiting(file.shown, f"its key {file.key!r} is that of {files[file.key].name!r:.80}"))
        else:
            files[file.key] = file
    return list(files.values()), clashes


def file_of(folder: Folder, key: str, seconds: float) -> File | None:
    """Return the file of a key; None where there is none. An object is asked for by its name where the key tells it."""
    if not is_local(folder.path) and (found := find_object(folder.path, key)) is not None:
        return found
    return next((file for file in files_of(folder, seconds)[0] if file.key == key), None)


@lru_cache(maxsize=20_000)
def periods_of(folder: Folder, file: File, period: Period, seconds: float = math.inf) -> tuple[str, ...] | SourceError:
    """Return the periods in a file, kept for as long as its mark stays; the reason, where it cannot be divided."""
    remote = not is_local(folder.path) and file.is_parquet and is_allowed(folder, file)
    if remote and (known := periods_by_footer(folder, file, period)) is not None:
        return known
    try:
        with open_file(folder, file, seconds) as stream:
            read_column = read_parquet_column if file.is_parquet else read_csv_column
            times = whole_times(read_column(stream, folder, str(folder.time)), folder)
    except SourceUnavailableError:  # not a fault of the file: nothing is kept
        raise
    except SourceError as problem:
        return problem
    if times.empty:
        return SourceError("has a header and no rows; expected rows")
    return tuple(sorted(set(period_keys(times, period))))


def whole_times(values: pd.Series, folder: Folder) -> pd.Series:
    """Return the column of time as datetimes; SourceError where one is missing."""
    times = parse_times(values, folder.time_format)
    if bool(times.isna().any()):
        row = int(times.isna().to_numpy().argmax())
        raise SourceError(
            f"column {values.name!r:.80} is missing in data row {row + 1}; expected a time in every row, to "
            "divide them by. Fill it in"
        )
    return times
