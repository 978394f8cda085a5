"""One batch of a `Folder` read with care."""

from __future__ import annotations

from mlops_assets.errors import SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources.folder.csv_files import infer_types, read_csv, read_csv_text, require_column
from mlops_assets.sources.folder.files import files_of, format_of, periods_of, refuse_name, whole_times
from mlops_assets.sources.folder.listing import Found, fixed_root
from mlops_assets.sources.folder.opening import Format, open_file
from mlops_assets.sources.folder.parquet_files import read_parquet, read_table, to_pandas
from mlops_assets.sources.folder.source import Folder
from mlops_assets.sources.look import Period
from mlops_assets.sources.periods import period_keys
from mlops_assets.sources.times import parse_times


def read(folder: Folder, key: str) -> pd.DataFrame:
    """Return all rows of a batch; SourceError says which batch and file, what is wrong and what to do."""
    try:
        files, _ = files_of(folder)
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


def _read_file(folder: Folder, file: Found) -> pd.DataFrame:
    frame = _load(file.path, fixed_root(folder.path)[0], format_of(folder), file.unsafe)
    if folder.time is not None and folder.time in frame and len(frame):
        frame[folder.time] = parse_times(frame[folder.time], folder.time_format)
    return frame


def _message(folder: Folder, key: str, file: Found | None, problem: str) -> str:
    where = f" ({file.shown})" if file else ""
    return f"Folder {folder.path!r}: batch {key!r:.120}{where}: {problem}."


def _read_period(folder: Folder, key: str, files: list[Found], period: Period) -> pd.DataFrame:
    parts = []
    for file in files:
        periods = periods_of(folder, file, period)
        if isinstance(periods, SourceError):
            if key == f"file-{file.key}":
                raise SourceError(_message(folder, key, file, str(periods)))
        elif key in periods:
            root = fixed_root(folder.path)[0]
            try:
                parts.append(_load_period(file.path, root, format_of(folder), str(folder.time), period, key))
            except SourceError as problem:
                raise SourceError(_message(folder, key, file, str(problem))) from None
    if not parts:
        raise SourceError(
            _message(folder, key, None, f"no file holds a row of this {period}; it was there before. Put it back")
        )
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def _load(path: str, root: str, fmt: Format, unsafe: bool = False) -> pd.DataFrame:
    with open_file(path, root, fmt.limits) as stream:
        refuse_name(path, unsafe)
        if path.endswith(".parquet"):
            return read_parquet(stream, fmt)
        return read_csv(stream, path.endswith(".gz"), fmt)


def _load_period(path: str, root: str, fmt: Format, time: str, period: Period, key: str) -> pd.DataFrame:
    with open_file(path, root, fmt.limits) as stream:
        if path.endswith(".parquet"):
            table = read_table(stream, fmt)
            times = whole_times(to_pandas(table.select([time]), fmt)[time], fmt)
            rows = period_keys(times, period) == key
            frame = to_pandas(table.filter(rows), fmt)
        else:
            text = read_csv_text(stream, path.endswith(".gz"), fmt)
            require_column(list(text.columns), time)
            times = whole_times(text[time].where(text[time] != ""), fmt)
            rows = period_keys(times, period) == key
            frame = infer_types(text[rows], fmt)
    return frame.assign(**{time: times[rows].reset_index(drop=True)})
