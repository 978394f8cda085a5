"""What the rows of a batch say: the version of their content, their times, the periods that these lie in."""

import hashlib
import re
import warnings
from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from pandas.util import hash_pandas_object

from mlops_assets.errors import SourceError
from mlops_assets.sources.batches import Period
from mlops_assets.text import cell_text

_FREQUENCY = {"day": "D", "week": "W-SUN", "month": "M", "quarter": "Q-DEC", "year": "Y-DEC"}
_FUTURE_TOLERANCE = pd.Timedelta(days=1)
_DAY_OR_MONTH = r"\s*(\d{1,2})[/.\-](\d{1,2})[/.\-](\d{4}|\d{2})(?:\D|$)"


def data_version(frame: pd.DataFrame) -> str:
    """16 hex digits from column names, dtypes, values and their order; the index does not count.

    Text counts as one dtype, however pandas stores it, so that versions survive a change of pandas.
    """
    digest = hashlib.sha256(f"{len(frame)} rows".encode())
    for name, dtype in zip(frame.columns, frame.dtypes, strict=True):
        label = "text" if pd.api.types.is_string_dtype(dtype) or dtype.kind == "O" else str(dtype)
        digest.update(f"|{name!r}:{label}".encode("utf-8", "surrogatepass"))
    if frame.shape[1]:
        digest.update(_hashes(frame).astype("<u8").tobytes())
    return digest.hexdigest()[:16]


def _hashes(frame: pd.DataFrame) -> "np.ndarray[Any, Any]":
    """A number for each row; cells that cannot be hashed, such as lists, count by their text."""
    try:
        if not any(_says_its_address(column) for _, column in frame.items()):
            return hash_pandas_object(frame, index=False).to_numpy()
    except Exception:  # cells are objects of any library; such a batch is rejected later, with its row
        pass
    texts = {
        place: [cell_text(value).encode("utf-8", "backslashreplace").decode() for value in frame.iloc[:, place]]
        for place in range(frame.shape[1])
    }
    return hash_pandas_object(pd.DataFrame(texts, dtype=object), index=False).to_numpy()


def _says_its_address(column: pd.Series) -> bool:
    """Whether some cells have a text that differs each time that they are made."""
    return column.dtype == object and any(_has_no_text(kind) for kind in set(map(type, column)))


def _has_no_text(kind: Any) -> bool:
    return kind.__repr__ is object.__repr__


def period_key(time: pd.Timestamp, period: Period) -> str:
    """The period that a moment lies in: "2011-01-31", "2011-W05" (ISO), "2011-01", "2011-Q1" or "2011"."""
    if period == "week":
        year, week, _ = time.isocalendar()
        return f"{year:04d}-W{week:02d}"
    if period == "quarter":
        return f"{time.year:04d}-Q{time.quarter}"
    return time.strftime({"day": "%Y-%m-%d", "month": "%Y-%m", "year": "%Y"}[period])


def period_keys(times: pd.Series, period: Period) -> "np.ndarray[Any, Any]":
    """`period_key` of each moment, shape (rows,). Times with a zone are taken in UTC; none may be missing."""
    moments = times.dt.tz_convert("UTC").dt.tz_localize(None) if times.dt.tz is not None else times
    codes, days = pd.factorize(moments.dt.normalize())
    return np.array([period_key(pd.Timestamp(day), period) for day in days], dtype=object)[codes]


def period_start(key: str, period: Period) -> pd.Timestamp:
    """The first moment of a period, from its key."""
    if period == "week":
        return pd.Timestamp.fromisocalendar(int(key[:4]), int(key[6:]), 1)
    return pd.Period(key.replace("-Q", "Q"), freq=_FREQUENCY[period]).start_time


def period_end(moment: str | pd.Timestamp, period: Period) -> pd.Timestamp:
    """The first moment after a period, given its key or any moment in it."""
    key = moment if isinstance(moment, str) else period_key(moment, period)
    return pd.Period(period_start(key, period), freq=_FREQUENCY[period]).end_time.ceil("D")


def periods_over(keys: Collection[str], period: Period, now: pd.Timestamp) -> tuple[list[str], list[str]]:
    """Periods that are over and those that are not, each in order of time.

    A period is over when a row of a later period exists or its end has passed. A period that begins more than a
    day from now shows a wrong timestamp: it counts as over, so that a check can reject it, and as no evidence
    that another one is.
    """
    ordered = sorted(keys)
    future = [key for key in ordered if period_start(key, period) > now + _FUTURE_TOLERANCE]
    present = ordered[: len(ordered) - len(future)]
    running = [key for key in present[-1:] if period_end(key, period) > now]
    return [key for key in ordered if key not in running], running


def parse_times(values: pd.Series, time_format: str | None = None) -> pd.Series:
    """A column as datetimes in microseconds (in UTC where it has a zone); SourceError naming the first bad value.

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
    """A column of Arrow as pandas holds it otherwise; Arrow lacks some of what is asked of a column below."""
    if not isinstance(values.dtype, pd.ArrowDtype):
        return values
    import pyarrow as pa

    return pd.Series(pa.array(values.array).to_pandas(), name=values.name).set_axis(values.index)


def _parsed_times(values: pd.Series, time_format: str | None) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values):
        return _plain_times(values)
    text = values
    if pd.api.types.is_numeric_dtype(values):
        there = values.dropna()
        whole = bool(((there % 1 == 0) & (there.abs() < 2**63)).all())
        text = values.astype("Int64").astype("string") if whole else values.astype("string")
    if time_format is None:
        _refuse_two_ways(text)
    parsed = _first_that_parses(text, time_format).mask(
        text.isin(["now", "today"])
    )  # pandas takes these for the time it is
    bad = (parsed.isna() & values.notna()).to_numpy()
    if bad.any():
        row = int(bad.argmax())
        raise SourceError(
            f"column {values.name!r:.80} holds {values.iloc[row]!r:.80} in data row {row + 1}, which is not a time "
            f"{f'of the format {time_format!r:.40}' if time_format else 'as the others are'}; expected one format "
            "throughout, such as 2011-01-31 or 2011-01-31T17:00:00. Correct the values"
        )
    return _plain_times(parsed)


def _plain_times(times: pd.Series) -> pd.Series:
    """One unit, and one zone where there are zones, so that batches can be put together."""
    microseconds: pd.Series = times.dt.as_unit("us")
    return microseconds if times.dt.tz is None else microseconds.dt.tz_convert("UTC")


def _refuse_two_ways(text: pd.Series) -> None:
    there = text.reset_index(drop=True).dropna().astype(str)
    suspects = there[there.str.match(_DAY_OR_MONTH)]
    for row, value in zip(suspects.index.tolist(), suspects, strict=True):
        found = re.match(_DAY_OR_MONTH, value)
        assert found is not None
        one, other = int(found.group(1)), int(found.group(2))
        if (one != other and max(one, other) <= 12) or len(found.group(3)) == 2:
            raise SourceError(
                f"column {text.name!r:.80} holds {value!r:.40} in data row {row + 1}, which can be read in two ways, "
                "by month or by day first. Write times as 2024-02-01, or declare time_format, such as '%d/%m/%Y', if "
                "it is the column of time of a Folder"
            )


def _first_that_parses(text: pd.Series, time_format: str | None = None) -> pd.Series:
    """The reading with the fewest unparsed values; formats differ in what they allow within one column."""
    best: pd.Series | None = None
    iso = {"format": "ISO8601"}
    readings: tuple[dict[str, Any], ...] = ({}, iso, {"utc": True}, {**iso, "utc": True})
    if time_format is not None:
        readings = ({"format": time_format}, {"format": time_format, "utc": True})
    for options in readings:
        try:
            with warnings.catch_warnings():
                # pandas warns before it guesses value by value, which fills what is missing from today's date
                warnings.simplefilter("error", UserWarning)
                # Of days first it warns in Cython, where an error would be printed and not raised.
                warnings.filterwarnings("ignore", message="Parsing dates in")
                parsed: pd.Series = pd.to_datetime(text, errors="coerce", **options)
        except (ValueError, TypeError, OverflowError, UserWarning):
            continue
        if not pd.api.types.is_datetime64_any_dtype(parsed):
            continue
        if not bool((parsed.isna() & text.notna()).any()):
            return parsed
        best = parsed if best is None else best
    return best if best is not None else pd.Series(pd.NaT, index=text.index, dtype="datetime64[us]")
