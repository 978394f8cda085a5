"""The files of a `Folder`: which of them are ready to be read, and one batch read with care."""

import hashlib
import time as clock
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

import pandas as pd

from mlops_assets.errors import DeclarationError, SourceError, SourceUnavailableError
from mlops_assets.sources.batches import RUNNING, Look, Period, Waiting
from mlops_assets.sources.contents import parse_times, period_keys, periods_over
from mlops_assets.sources.csv_files import infer_types, read_csv, read_csv_column, read_csv_text, require_column
from mlops_assets.sources.listing import Found, fixed_root, list_files
from mlops_assets.sources.opening import Format, SlowFileError, open_file, open_for
from mlops_assets.sources.parquet_files import read_parquet, read_parquet_column, read_table, to_pandas

if TYPE_CHECKING:
    from mlops_assets.sources.folder import Folder

LOOK_SECONDS = 8.0
"""After so long a look leaves the files that it did not come to for the next one, which knows the others already."""

FILE_SECONDS = 20.0
"""A file that takes longer to be divided by period waits, so that no look is held up: Dagster ends a tick after 60."""

_QUIET_SECONDS = 10.0


def look(folder: "Folder", seen: Mapping[str, str] | None, now: pd.Timestamp | None) -> Look:
    """Which batches are ready; without a period no file is opened.

    `seen` is what the last look gave. Without it, a file is ready 10 s after its last change. `now` is in UTC
    without a zone; the default is the clock.
    """
    now = pd.Timestamp(clock.time(), unit="s") if now is None else now
    try:
        files, waiting = _files(folder)
    except OSError as problem:
        return Look({}, (Waiting(folder.path, f"the folder cannot be listed: {problem.strerror}"),), {})
    stable = []
    for file in files:
        reason = _unstable(folder, file, seen, now)
        if reason:
            waiting.append(Waiting(file.shown, reason))
        else:
            stable.append(file)
    marks = {file.key: file.mark for file in files}
    if folder.period is None:
        return Look({file.key: file.mark for file in stable}, tuple(waiting), marks)
    ready, running = _look_at_periods(folder, stable, folder.period, now)
    return Look(ready, (*waiting, *running), marks)


def read(folder: "Folder", key: str) -> pd.DataFrame:
    """All rows of a batch; SourceError naming the batch, the file, what is wrong and what to do."""
    try:
        files, _ = _files(folder)
    except OSError as problem:
        raise SourceError(_message(folder, key, None, f"the folder cannot be listed ({problem.strerror})")) from None
    if folder.period is not None:
        return _read_period(folder, key, files, folder.period)
    file = next((file for file in files if file.key == key), None)
    if file is None:
        raise SourceError(
            _message(folder, key, None, "no such file; it was there before. Put it back, or give up the batch")
        )
    try:
        return _read_file(folder, file)
    except SourceError as problem:
        raise SourceError(_message(folder, key, file, str(problem))) from None


def _files(folder: "Folder") -> tuple[list[Found], list[Waiting]]:
    """The files, each with a key of its own, and those that cannot have one."""
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


def _unstable(folder: "Folder", file: Found, seen: Mapping[str, str] | None, now: pd.Timestamp) -> str | None:
    if file.done or not file.regular:
        return None
    if folder.marker:
        return f"there is no {file.name.rpartition('/')[2] + '.done'!r:.80} yet"
    if seen is None:
        quiet = now.timestamp() - file.modified >= _QUIET_SECONDS
        return None if quiet else f"changed less than {_QUIET_SECONDS:.0f} s ago"
    if file.key not in seen:
        return "new: read when the next look finds it unchanged"
    return None if seen[file.key] == file.mark else "changed since the last look"


def _format(folder: "Folder") -> Format:
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


def _read_file(folder: "Folder", file: Found) -> pd.DataFrame:
    frame = _load(file.path, fixed_root(folder.path)[0], _format(folder), file.unsafe)
    if folder.time is not None and folder.time in frame and len(frame):
        frame[folder.time] = parse_times(frame[folder.time], folder.time_format)
    return frame


def _message(folder: "Folder", key: str, file: Found | None, problem: str) -> str:
    where = f" ({file.shown})" if file else ""
    return f"Folder {folder.path!r}: batch {key!r:.120}{where}: {problem}."


def _periods_of(
    folder: "Folder", file: Found, period: Period, seconds: float | None = None
) -> tuple[str, ...] | SourceError:
    root = fixed_root(folder.path)[0]
    return _periods_in(file.path, file.mark, root, _format(folder), file.unsafe, str(folder.time), period, seconds)


def _look_at_periods(
    folder: "Folder", files: list[Found], period: Period, now: pd.Timestamp
) -> tuple[dict[str, str], list[Waiting]]:
    """The periods that are over, then the files that cannot be divided, as batches of their own."""
    marks: dict[str, list[str]] = {}
    broken: dict[str, str] = {}
    slow: list[Waiting] = []
    ends = clock.monotonic() + LOOK_SECONDS
    for number, file in enumerate(files):
        if clock.monotonic() > ends:
            raise SourceUnavailableError(
                f"Folder {folder.path!r}: {number:,} of {len(files):,} files were divided by {period} in "
                f"{LOOK_SECONDS:.0f} s. The next look goes on; nothing needs to be done."
            )
        periods = _periods_of(folder, file, period, FILE_SECONDS)
        if isinstance(periods, SlowFileError):
            slow.append(Waiting(file.shown, str(periods)))
            continue
        if isinstance(periods, SourceError):
            broken[f"file-{file.key}"] = file.mark
            continue
        for key in periods:
            marks.setdefault(key, []).append(f"{file.key} {file.mark}")
    over, running = periods_over(marks, period, now)
    ready = {key: hashlib.blake2b("\n".join(sorted(marks[key])).encode(), digest_size=8).hexdigest() for key in over}
    return {**ready, **broken}, [*slow, *(Waiting(key, RUNNING) for key in running)]


def _read_period(folder: "Folder", key: str, files: list[Found], period: Period) -> pd.DataFrame:
    parts = []
    for file in files:
        periods = _periods_of(folder, file, period)
        if isinstance(periods, SourceError):
            if key == f"file-{file.key}":
                raise SourceError(_message(folder, key, file, str(periods)))
        elif key in periods:
            root = fixed_root(folder.path)[0]
            try:
                parts.append(_load_period(file.path, root, _format(folder), str(folder.time), period, key))
            except SourceError as problem:
                raise SourceError(_message(folder, key, file, str(problem))) from None
    if not parts:
        raise SourceError(
            _message(folder, key, None, f"no file holds a row of this {period}; it was there before. Put it back")
        )
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def _load(path: str, root: str, fmt: Format, unsafe: bool = False) -> pd.DataFrame:
    with open_file(path, root, fmt.limits) as stream:
        _refuse_name(path, unsafe)
        if path.endswith(".parquet"):
            return read_parquet(stream, fmt)
        return read_csv(stream, path.endswith(".gz"), fmt)


def _load_times(path: str, root: str, fmt: Format, unsafe: bool, time: str, seconds: float | None) -> pd.Series:
    """The column of time, with no value missing."""
    with open_for(path, root, fmt.limits, seconds) as stream:
        _refuse_name(path, unsafe)
        if path.endswith(".parquet"):
            times = read_parquet_column(stream, fmt, time)
        else:
            times = read_csv_column(stream, path.endswith(".gz"), fmt, time)
    return _whole_times(times, fmt)


def _load_period(path: str, root: str, fmt: Format, time: str, period: Period, key: str) -> pd.DataFrame:
    with open_file(path, root, fmt.limits) as stream:
        if path.endswith(".parquet"):
            table = read_table(stream, fmt)
            times = _whole_times(to_pandas(table.select([time]), fmt)[time], fmt)
            rows = period_keys(times, period) == key
            frame = to_pandas(table.filter(rows), fmt)
        else:
            text = read_csv_text(stream, path.endswith(".gz"), fmt)
            require_column(list(text.columns), time)
            times = _whole_times(text[time].where(text[time] != ""), fmt)
            rows = period_keys(times, period) == key
            frame = infer_types(text[rows], fmt)
    return frame.assign(**{time: times[rows].reset_index(drop=True)})


def _whole_times(values: pd.Series, fmt: Format) -> pd.Series:
    times = parse_times(values, fmt.time_format)
    if bool(times.isna().any()):
        row = int(times.isna().to_numpy().argmax())
        raise SourceError(
            f"column {values.name!r:.80} is missing in data row {row + 1}; expected a time in every row, to "
            "divide them by. Fill it in"
        )
    return times


def _refuse_name(path: str, unsafe: bool) -> None:
    if unsafe:
        raise SourceError(
            "has an unsafe name; expected a-z, A-Z, 0-9, '.', '_' and '-' only, at most 100 of them, the first a "
            "letter, a digit or '_'. Rename the file"
        )
    if not path.endswith((".csv", ".csv.gz", ".parquet")):
        raise SourceError(
            "is of an unknown kind; expected a name that ends in .csv, .csv.gz or .parquet. Rename or convert it"
        )


@lru_cache(maxsize=20_000)
def _periods_in(
    path: str, mark: str, root: str, fmt: Format, unsafe: bool, time: str, period: Period, seconds: float | None
) -> tuple[str, ...] | SourceError:
    """The periods in a file, remembered for as long as its mark stays; the reason, where it cannot be divided."""
    try:
        times = _load_times(path, root, fmt, unsafe, time, seconds)
    except SourceError as problem:
        return problem
    return (
        tuple(sorted(set(period_keys(times, period))))
        if len(times)
        else SourceError("has a header and no rows; expected rows")
    )
