"""The files of a `Folder`, each with a key of its own, and the periods that are in them."""

from __future__ import annotations

from functools import lru_cache

from mlops_assets.errors import DeclarationError, SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources.folder.csv_files import read_csv_column
from mlops_assets.sources.folder.listing import Found, fixed_root, list_files
from mlops_assets.sources.folder.opening import Format, open_for
from mlops_assets.sources.folder.parquet_files import read_parquet_column
from mlops_assets.sources.folder.source import Folder
from mlops_assets.sources.look import Period, Waiting
from mlops_assets.sources.periods import period_keys
from mlops_assets.sources.times import parse_times


def files_of(folder: Folder) -> tuple[list[Found], list[Waiting]]:
    """Return the files, each with a key of its own, and those that cannot have one."""
    if folder.period is not None and folder.time is None:
        raise DeclarationError(
            f"Folder {folder.path!r}: period={folder.period!r} needs time, the column to divide the rows by."
        )
    files: dict[str, Found] = {}
    clashes = []
    for file in list_files(folder.path):
        if file.key in files:
            clashes.append(Waiting(file.shown, f"its key {file.key!r} is that of {files[file.key].name!r:.80}"))
        else:
            files[file.key] = file
    return list(files.values()), clashes


def format_of(folder: Folder) -> Format:
    return Format(
        folder.encoding,
        folder.delimiter,
        tuple(folder.na_values),
        tuple(sorted(folder.dtypes.items())),
        folder.limits,
        folder.decimal,
        folder.thousands,
        folder.keep_default_na,
        folder.time_format,
    )


def periods_of(
    folder: Folder, file: Found, period: Period, seconds: float | None = None
) -> tuple[str, ...] | SourceError:
    root = fixed_root(folder.path)[0]
    return _periods_in(file.path, file.mark, root, format_of(folder), file.unsafe, str(folder.time), period, seconds)


@lru_cache(maxsize=20_000)
def _periods_in(
    path: str, mark: str, root: str, fmt: Format, unsafe: bool, time: str, period: Period, seconds: float | None
) -> tuple[str, ...] | SourceError:
    """Return the periods in a file, kept for as long as its mark stays; the reason, where it cannot be divided."""
    try:
        times = _load_times(path, root, fmt, unsafe, time, seconds)
    except SourceError as problem:
        return problem
    return (
        tuple(sorted(set(period_keys(times, period))))
        if len(times)
        else SourceError("has a header and no rows; expected rows")
    )


def _load_times(path: str, root: str, fmt: Format, unsafe: bool, time: str, seconds: float | None) -> pd.Series:
    """Return the column of time, with no value missing."""
    with open_for(path, root, fmt.limits, seconds) as stream:
        refuse_name(path, unsafe)
        if path.endswith(".parquet"):
            times = read_parquet_column(stream, fmt, time)
        else:
            times = read_csv_column(stream, path.endswith(".gz"), fmt, time)
    return whole_times(times, fmt)


def whole_times(values: pd.Series, fmt: Format) -> pd.Series:
    times = parse_times(values, fmt.time_format)
    if bool(times.isna().any()):
        row = int(times.isna().to_numpy().argmax())
        raise SourceError(
            f"column {values.name!r:.80} is missing in data row {row + 1}; expected a time in every row, to "
            "divide them by. Fill it in"
        )
    return times


def refuse_name(path: str, unsafe: bool) -> None:
    if unsafe:
        raise SourceError(
            "has an unsafe name; expected a-z, A-Z, 0-9, '.', '_' and '-' only, at most 100 of them, the first a "
            "letter, a digit or '_'. Rename the file"
        )
    if not path.endswith((".csv", ".csv.gz", ".parquet")):
        raise SourceError(
            "is of an unknown kind; expected a name that ends in .csv, .csv.gz or .parquet. Rename or convert it"
        )
