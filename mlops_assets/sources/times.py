"""Read a column as times, and refuse a value that is not one, or that can be read in two ways."""

from __future__ import annotations

import warnings
from typing import Any

from mlops_assets.errors import SourceError
from mlops_assets.lazy import pa, pd

_DAY_OR_MONTH = r"\s*(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4}|\d{2})(?:\D|$)"


def parse_times(values: pd.Series, time_format: str | None = None) -> pd.Series:
    """Return a column as datetimes in microseconds (in UTC where it has a zone); SourceError names the first bad value.

    Without a format, a value such as 01/02/2024 is refused: it is a day of January or of February, and what pandas
    takes it for depends on the first value of the column.
    """
    try:
        return _parsed_times(_of_numpy(values), time_format)
    except SourceError:
        raise
    except Exception as problem:  # cells are objects of any library, whose methods may raise anything
        raise SourceError(
            f"column {values.name!r:.80} of type {values.dtype!s:.40} cannot be read as times "
            f"({type(problem).__name__}: {problem!s:.120}); expected values such as 2011-01-31T17:00:00. Correct them"
        ) from None


def _of_numpy(values: pd.Series) -> pd.Series:
    """Return a column of Arrow as pandas holds it otherwise; Arrow lacks some of what is asked of a column below."""
    if not isinstance(values.dtype, pd.ArrowDtype):
        return values
    return pd.Series(pa.array(values.array).to_pandas(), name=values.name).set_axis(values.index)


def _parsed_times(values: pd.Series, time_format: str | None) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values):
        return _in_utc(values)
    text = values
    if pd.api.types.is_numeric_dtype(values):
        numbers = values.dropna()
        whole = bool(((numbers % 1 == 0) & (numbers.abs() < 2**63)).all())
        text = values.astype("Int64").astype("string") if whole else values.astype("string")
    if time_format is None:
        _refuse_two_ways(text)
    times = _first_that_parses(text, time_format)
    times = times.mask(text.isin(["now", "today"]))  # pandas takes these for the time it is
    bad = (times.isna() & values.notna()).to_numpy()
    if bad.any():
        row = int(bad.argmax())
        raise SourceError(
            f"column {values.name!r:.80} holds {values.iloc[row]!r:.80} in data row {row + 1}, which is not a time "
            f"{f'of the format {time_format!r:.40}' if time_format else 'as the others are'}; expected one format "
            "throughout, such as 2011-01-31 or 2011-01-31T17:00:00. Correct the values"
        )
    return _in_utc(times)


def _in_utc(times: pd.Series) -> pd.Series:
    """Return times in one unit, and one zone where there are zones, so that batches can be put together."""
    microseconds: pd.Series = times.dt.as_unit("us")
    return microseconds if times.dt.tz is None else microseconds.dt.tz_convert("UTC")


def _refuse_two_ways(text: pd.Series) -> None:
    values = text.reset_index(drop=True).dropna().astype(str)
    parts = values[values.str.match(_DAY_OR_MONTH)].str.extract(_DAY_OR_MONTH)
    numbers = parts[[0, 1]].astype(int)
    ambiguous = (numbers[0] != numbers[1]) & (numbers.max(axis=1) <= 12) | (parts[2].str.len() == 2)
    if rows := ambiguous[ambiguous].index.tolist():
        raise SourceError(
            f"column {text.name!r:.80} holds {values[rows[0]]!r:.40} in data row {rows[0] + 1}, which can be read in "
            "two ways, by month or by day first. Write times as 2024-02-01, or declare time_format, such as "
            "'%d/%m/%Y', if it is the column of time of a Folder"
        )


def _first_that_parses(text: pd.Series, time_format: str | None) -> pd.Series:
    """Return the reading with the fewest unparsed values; formats differ in what they allow within one column."""
    best: pd.Series | None = None
    formats: list[dict[str, Any]] = [{}, {"format": "ISO8601"}] if time_format is None else [{"format": time_format}]
    for options in [*formats, *({**options, "utc": True} for options in formats)]:
        try:
            with warnings.catch_warnings():
                # pandas warns before it guesses value by value, which fills what is missing from today's date
                warnings.simplefilter("error", UserWarning)
                # Of days first it warns in Cython, where an error would be printed and not raised.
                warnings.filterwarnings("ignore", message="Parsing dates in")
                times: pd.Series = pd.to_datetime(text, errors="coerce", **options)
        except (ValueError, TypeError, OverflowError, UserWarning):
            continue
        if not pd.api.types.is_datetime64_any_dtype(times):
            continue
        if not bool((times.isna() & text.notna()).any()):
            return times
        best = times if best is None else best
    return best if best is not None else pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]")
