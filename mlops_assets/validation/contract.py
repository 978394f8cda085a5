"""The checks that come before every expectation: rows, columns, types, missing, infinite and repeated values, time.

Great Expectations passes almost everything on no rows or on an all-null column; these checks do not.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlops_assets.checks import CheckOutcome
from mlops_assets.disk_frame import LargeFrame
from mlops_assets.lazy import np, pd
from mlops_assets.text import listed, shown
from mlops_assets.validation.repeated import repeated_rows
from mlops_assets.validation.schema import Schema, kind_of, not_numbers, numbers, times

CONTRACT = ("row_count", "columns", "dtypes", "non_null", "finite", "key_unique", "time_valid")
"""The names of the contract's checks, in their order."""

LARGEST = 1e150
"""Magnitudes from here on count as infinite: the squares of 100 million of them exceed a float64."""

_EXAMPLES = 5
_NEARLY_ALL = 0.9
_FUTURE_TOLERANCE = "1D"

_Judgement = tuple[list[str], str, dict[str, Any]]
"""The faults, the message if there are none, and the metadata."""


def contract_checks(
    frame: pd.DataFrame | LargeFrame,
    schema: Schema | None,
    target: str | None,
    key: Sequence[str],
    time: str | None,
    *,
    now: pd.Timestamp,
    extra_columns: Literal["accept", "reject"] = "accept",
    inferred: Collection[str] = (),
    optional: Collection[str] = (),
) -> list[CheckOutcome]:
    """Judge one batch; always return every check of `CONTRACT`, all blocking.

    frame: the rows of the batch. Rows are numbered from 1 in all messages.
    schema: the columns that earlier batches had; None for the first batch, whose own columns then count.
    target: the label. It may be missing in all rows, since labels may come later; None if there is no label column.
    inferred: columns whose kind was inferred from text, as in a CSV file. In the first batch such a column fails if it
        is text and nearly all values are numbers: later batches would be judged by it.
    optional: columns that may have no value; they are in `frame`.
    now: naive times, here and in the batch, are read as UTC. A time more than a day later than `now` fails.
    """
    columns = schema.columns if schema else map(str, frame.columns)
    batch = _Batch(
        frame=frame
        if isinstance(frame, LargeFrame)
        else frame.loc[:, ~frame.columns.duplicated()].reset_index(drop=True),
        schema=schema,
        required=tuple(dict.fromkeys([*columns, *(name for name in (*key, time, target) if name is not None)])),
        target=target,
        key=list(key),
        time=time,
        latest=(now.tz_localize("UTC") if now.tzinfo is None else now.tz_convert("UTC"))
        + pd.Timedelta(_FUTURE_TOLERANCE),
        inferred=inferred,
        optional=optional,
    )
    rows = len(frame)
    return [
        CheckOutcome("row_count", rows > 0, f"{rows} rows; expected at least 1", metadata={"rows": rows}),
        _columns(batch, frame, extra_columns),
        _outcome("dtypes", batch, _dtypes),
        _outcome("non_null", batch, _non_null),
        _outcome("finite", batch, _finite),
        _outcome("key_unique", batch, _key_unique, batch.key)
        if key
        else CheckOutcome("key_unique", True, "no key declared"),
        _outcome("time_valid", batch, _time_valid, [time])
        if time
        else CheckOutcome("time_valid", True, "no time column declared"),
    ]


def first_faults(faults: list[str]) -> list[str]:
    """Return the faults of the first columns, and how many columns more have a fault."""
    more = len(faults) - _EXAMPLES
    return [*faults[:_EXAMPLES], f"{more} columns more"] if more > 0 else faults


@dataclass(frozen=True, kw_only=True)
class _Batch:
    frame: pd.DataFrame | LargeFrame
    schema: Schema | None
    required: tuple[str, ...]
    target: str | None
    key: list[str]
    time: str | None
    latest: pd.Timestamp
    inferred: Collection[str]
    optional: Collection[str]

    @property
    def present(self) -> list[str]:
        return [name for name in self.required if name in self.frame.columns]

    def missing(self, columns: Sequence[str]) -> list[str]:
        return [name for name in columns if name not in self.frame.columns]

    def expected(self, name: str) -> str:
        return self.schema.columns.get(name, "null") if self.schema else "null"


def _outcome(
    check: str, batch: _Batch, judge: Callable[[_Batch], _Judgement], needed: Sequence[str] = ()
) -> CheckOutcome:
    """Return the outcome of a check, which fails without rows and for a missing column, of which nothing is known.

    needed: columns without which nothing is judged; by default all that are present are judged.
    """
    missing = batch.missing(needed or batch.required)
    gaps = [f"not checked: column missing: {listed(missing)}"] if missing else []
    if needed and missing:
        return CheckOutcome(check, False, gaps[0])
    if not len(batch.frame):
        return CheckOutcome(check, False, "not checked: the batch has no rows", metadata={"rows": 0})
    faults, message, metadata = judge(batch)
    faults = [*first_faults(faults), *gaps]
    return CheckOutcome(check, not faults, "; ".join(faults) or message, metadata=metadata)


def _columns(batch: _Batch, original: pd.DataFrame | LargeFrame, extra_columns: str) -> CheckOutcome:
    columns, missing = batch.frame.columns, batch.missing(batch.required)
    extra = [name for name in columns if name not in batch.required] if batch.schema else []
    repeated = original.columns[original.columns.duplicated()].unique()
    unnamed = [name for name in columns if not isinstance(name, str) or not name.strip()]
    faults = []
    if missing:
        faults.append(f"missing: {listed(missing)}; the batch has {listed(columns)}")
    if extra and extra_columns == "reject":
        faults.append(f"not expected: {listed(extra)} (extra columns are declared to be rejected)")
    if len(repeated):
        faults.append(f"more than once: {listed(repeated)}")
    if unnamed:
        faults.append(f"names that are empty or not text: {listed(unnamed)}")
    message = f"all {len(batch.required)} expected columns are there"
    if extra:
        message += f"; {len(extra)} more accepted: {listed(extra)}"
    metadata = {"columns": len(columns), "missing": list(map(shown, missing)), "extra": list(map(shown, extra))}
    return CheckOutcome("columns", not faults, "; ".join(faults) or message, metadata=metadata)


def _dtypes(batch: _Batch) -> _Judgement:
    faults, table = [], []
    for name in batch.present:
        column = batch.frame[name]
        kind, expected = kind_of(column), batch.expected(name)
        fault = _dtype_fault(column, kind, expected, batch.schema.origin(name) if batch.schema else "")
        if kind == "text" and expected == "null" and name in batch.inferred:
            fault = fault or _nearly_numbers(column)
        if name == batch.target and kind == "time":
            fault = f"a target of times, {_examples(column.dropna())}; expected numbers, text or booleans: derive one"
        if fault:
            faults.append(f"{shown(name)}: {fault}")
        table.append({"column": shown(name), "expected": expected, "got": kind, "fault": fault})
    return faults, f"{len(table)} columns hold what is expected", {"columns": table}


def _nearly_numbers(column: pd.Series) -> str:
    """Return why a text column of a first batch is rather one of numbers with a few faults; else ""."""
    wrong, values = not_numbers(column), int(column.notna().sum())
    numeric = values - int(wrong.sum())
    if not wrong.any() or numeric < _NEARLY_ALL * values:
        return ""
    return (
        f"text, though {numeric:,} of {values:,} values are numbers: {_examples(column[wrong])}; mend them, declare "
        "them as `na_values` of the source, or the column as text by `dtypes` of the source"
    )


def _dtype_fault(column: pd.Series, kind: str, expected: str, origin: str) -> str:
    if kind == "mixed":
        types = column.dropna().map(lambda value: type(value).__name__)
        return f"several types in one column, or values that are not plain: {listed(types.unique())}; expected one type"
    if "null" in (kind, expected) or kind == expected:
        return ""
    if kind == "text" and expected in ("number", "time"):
        wrong = not_numbers(column) if expected == "number" else column.notna() & times(column).isna()
        return f"expected {expected}{origin}, got text: {_examples(column[wrong])}" if wrong.any() else ""
    if kind == "number" and expected == "boolean" and column.dropna().isin([0, 1]).all():
        return ""
    hint = "; where codes look like numbers, declare the column's dtype at the source" if expected == "text" else ""
    return f"expected {expected}{origin}, got {kind}: {_examples(column.dropna())}{hint}"


def _non_null(batch: _Batch) -> _Judgement:
    shares = {name: float(batch.frame[name].isna().mean()) for name in batch.present}
    needed = {name: share for name, share in shares.items() if name != batch.target and name not in batch.optional}
    empty = [f"{shown(name)} (100.0%)" for name, share in needed.items() if share >= 1]
    more = f" and {len(empty) - _EXAMPLES} more" if len(empty) > _EXAMPLES else ""
    faults = [f"all values missing: {', '.join(empty[:_EXAMPLES])}{more}"] if empty else []
    worst = max(needed, key=lambda name: needed[name], default=None)
    message = f"every column has values; {shown(worst)} misses most, {needed[worst]:.1%}" if worst else "no columns"
    table = [
        {"column": shown(name), "missing": round(share * len(batch.frame)), "share": share}
        for name, share in shares.items()
    ]
    metadata: dict[str, Any] = {"largest_missing_share": needed[worst] if worst else 0.0, "columns": table}
    if batch.target in shares:
        metadata["label_missing_share"] = shares[batch.target]
        message += f"; label missing in {shares[batch.target]:.1%} of the rows"
    return faults, message, metadata


def _finite(batch: _Batch) -> _Judgement:
    faults, count, columns = [], 0, 0
    for name in batch.present:
        column = batch.frame[name]
        kind = kind_of(column)
        if kind != "number" and (kind != "text" or batch.expected(name) != "number"):
            continue
        columns += 1
        wrong = np.abs(numbers(column).to_numpy("float64")) >= LARGEST
        if wrong.any():
            count += int(wrong.sum())
            faults.append(f"{shown(name)}: infinite or {LARGEST:g} and beyond: {_examples(column[wrong])}")
    return faults, f"all values of {columns} number columns are finite", {"not_finite": count}


def _key_unique(batch: _Batch) -> _Judgement:
    keys = batch.frame[batch.key]
    empty = keys.isna().any(axis=1)
    try:
        repeated = repeated_rows(keys) & ~empty
    except TypeError:
        return [f"the key {listed(batch.key)} holds values that cannot be compared (lists)"], "", {}
    faults = []
    if repeated.any():
        # Equal keys side by side; ordered by text, as keys of several types have no order of their own.
        ordered = keys[repeated].sort_values(batch.key, kind="stable", key=lambda part: part.astype(str))
        faults.append(f"{len(ordered)} rows share their key {listed(batch.key)}: {_examples(ordered)}")
    if empty.any():
        faults.append(f"{int(empty.sum())} rows have no key: {_examples(keys[empty])}")
    metadata = {"repeated": int(repeated.sum()), "without_key": int(empty.sum()), "key": list(map(shown, batch.key))}
    return faults, f"{len(keys)} distinct keys", metadata


def _time_valid(batch: _Batch) -> _Judgement:
    column = batch.frame[str(batch.time)]
    moments = times(column)
    empty, wrong, future = column.isna(), column.notna() & moments.isna(), moments > batch.latest
    texts = {
        "{} rows have no time: {}": empty,
        "{} values are not times: {}; expected for example 2024-01-31": wrong,
        f"{{}} times lie after {batch.latest.isoformat()}: {{}}": future,
    }
    faults = [text.format(int(where.sum()), _examples(column[where])) for text, where in texts.items() if where.any()]
    metadata = {"no_time": int((empty | wrong).sum()), "future": int(future.sum())}
    if moments.notna().any():
        metadata |= {"first": moments.min().isoformat(), "last": moments.max().isoformat()}
    return faults, f"{shown(batch.time)}: {metadata.get('first')} to {metadata.get('last')}", metadata


def _examples(values: pd.Series | pd.DataFrame) -> str:
    """Return the first values, each with its row number from 1, and how many more there are."""
    rows = pd.DataFrame(values).head(_EXAMPLES).itertuples(name=None)
    examples = [f"{shown(cells[0] if len(cells) == 1 else tuple(cells))} (row {row + 1})" for row, *cells in rows]
    more = len(values) - len(examples)
    return ", ".join(examples) + (f" and {more} more" if more else "")
