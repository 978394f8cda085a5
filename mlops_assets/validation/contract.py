"""The checks that come before every expectation: rows, columns, types, missing, infinite and repeated values, time.

Great Expectations passes almost everything on no rows or on an all-null column; these checks do not.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlops_assets.checks import CheckOutcome
from mlops_assets.lazy import np, pd
from mlops_assets.text import listed, shown
from mlops_assets.validation.names import contract_names
from mlops_assets.validation.schema import Schema, kind_of, normalise, not_numbers, numbers, schema_of, times

__all__ = ["LARGEST", "Schema", "contract_checks", "contract_names", "normalise", "schema_of"]

LARGEST = 1e150
"""Magnitudes from here on count as infinite: the squares of 100 million of them exceed a float64."""

_EXAMPLES = 5
_NEARLY_ALL = 0.9


def contract_checks(
    frame: pd.DataFrame,
    schema: Schema | None,
    target: str | None,
    key: Sequence[str],
    time: str | None,
    *,
    now: pd.Timestamp,
    extra_columns: Literal["accept", "reject"] = "accept",
    max_missing: float = 1.0,
    min_rows: int = 1,
    future_tolerance: str = "1D",
    inferred: Collection[str] = (),
    optional: Collection[str] = (),
) -> list[CheckOutcome]:
    """Judge one batch; always return every check of `contract_names`, all blocking.

    frame: the rows of the batch. Rows are numbered from 1 in all messages.
    schema: the columns that earlier batches had; None for the first batch, whose own columns then count.
    target: the label. It may be missing in all rows, since labels may come later; None if there is no label column.
    max_missing: a column fails if its share of missing values reaches this (so 1.0 refuses all-null columns only).
    inferred: columns whose kind was inferred from text, as in a CSV file. In the first batch such a column fails if it
        is text and nearly all values are numbers: later batches would be judged by it.
    optional: columns that may have no value; they are in `frame`.
    now: naive times, here and in the batch, are read as UTC. A time later than `now + future_tolerance` fails.
    """
    required = list(schema.columns) if schema else [str(name) for name in frame.columns]
    required += [name for name in (*key, time, target) if name is not None]
    batch = _Batch(
        rows=len(frame),
        frame=frame.loc[:, ~frame.columns.duplicated()].reset_index(drop=True),
        schema=schema,
        required=tuple(dict.fromkeys(required)),
        target=target,
        inferred=frozenset(inferred),
    )
    return [
        _row_count(batch, min_rows),
        _columns(batch, frame, extra_columns),
        _dtypes(batch),
        _non_null(batch, max_missing, optional),
        _finite(batch),
        _key_unique(batch, tuple(key)),
        _time_valid(batch, time, now, pd.Timedelta(future_tolerance)),
    ]


@dataclass(frozen=True)
class _Batch:
    rows: int
    frame: pd.DataFrame
    schema: Schema | None
    required: tuple[str, ...]
    target: str | None
    inferred: frozenset[str]

    @property
    def missing(self) -> list[str]:
        return [name for name in self.required if name not in self.frame.columns]

    @property
    def present(self) -> list[str]:
        return [name for name in self.required if name in self.frame.columns]

    def expected(self, name: str) -> str:
        return self.schema.columns.get(name, "null") if self.schema else "null"

    def unchecked(self, check: str, relied_on: Sequence[str]) -> CheckOutcome | None:
        """Return a failed outcome if the check has nothing to look at, else None."""
        absent = [name for name in relied_on if name not in self.frame.columns]
        if absent:
            return CheckOutcome(check, False, f"not checked: column missing: {listed(absent)}")
        if self.rows == 0:
            return CheckOutcome(check, False, "not checked: the batch has no rows", metadata={"rows": 0})
        return None

    def outcome(self, check: str, faults: list[str], holds: str, metadata: dict[str, Any]) -> CheckOutcome:
        """Return an outcome that fails for any fault, and for a missing column, of which nothing is known."""
        absent = self.missing
        if absent and check != "columns":
            faults = [*faults, f"not checked: column missing: {listed(absent)}"]
        return CheckOutcome(check, not faults, "; ".join(faults) or holds, metadata=metadata)


def _row_count(batch: _Batch, min_rows: int) -> CheckOutcome:
    message = f"{batch.rows} rows; expected at least {min_rows}"
    return CheckOutcome("row_count", batch.rows >= min_rows, message, metadata={"rows": batch.rows})


def _columns(batch: _Batch, original: pd.DataFrame, extra_columns: str) -> CheckOutcome:
    extra = [name for name in batch.frame.columns if name not in batch.required] if batch.schema else []
    repeated = list(dict.fromkeys(original.columns[original.columns.duplicated()]))
    unnamed = [name for name in batch.frame.columns if not isinstance(name, str) or not name.strip()]
    faults = []
    if batch.missing:
        faults.append(f"missing: {listed(batch.missing)}; the batch has {listed(batch.frame.columns)}")
    if extra and extra_columns == "reject":
        faults.append(f"not expected: {listed(extra)} (extra columns are declared to be rejected)")
    if repeated:
        faults.append(f"more than once: {listed(repeated)}")
    if unnamed:
        faults.append(f"names that are no text or empty: {listed(unnamed)}")
    holds = f"all {len(batch.required)} expected columns are there"
    if extra:
        holds += f"; {len(extra)} more accepted: {listed(extra)}"
    metadata = {
        "columns": len(batch.frame.columns),
        "missing": [shown(name) for name in batch.missing],
        "extra": [shown(name) for name in extra],
    }
    return batch.outcome("columns", faults, holds, metadata)


def _dtypes(batch: _Batch) -> CheckOutcome:
    if unchecked := batch.unchecked("dtypes", ()):
        return unchecked
    faults, table = [], []
    for name in batch.present:
        column = batch.frame[name]
        kind, expected = kind_of(column), batch.expected(name)
        fault = _dtype_fault(column, kind, expected, batch.schema.origin(name) if batch.schema else "")
        if kind == "text" and expected == "null" and name in batch.inferred:
            fault = fault or _nearly_numbers(column)
        if name == batch.target and kind == "time":
            fault = f"a target of times, {_at(column, column.notna())}; expected numbers, text or booleans: derive one"
        if fault:
            faults.append(f"{shown(name)}: {fault}")
        table.append({"column": shown(name), "expected": expected, "got": kind, "fault": fault})
    if len(faults) > _EXAMPLES:
        faults = [*faults[:_EXAMPLES], f"{len(faults) - _EXAMPLES} columns more"]
    return batch.outcome("dtypes", faults, f"{len(table)} columns hold what is expected", {"columns": table})


def _nearly_numbers(column: pd.Series) -> str:
    """Return why a text column of a first batch is rather one of numbers with a few faults; else ""."""
    wrong, values = not_numbers(column), int(column.notna().sum())
    numeric = values - int(wrong.sum())
    if not wrong.any() or numeric < _NEARLY_ALL * values:
        return ""
    return (
        f"text, though {numeric:,} of {values:,} values are numbers: {_at(column, wrong)}; mend them, declare them as "
        "`na_values` of the source, or the column as text by `dtypes` of the source"
    )


def _dtype_fault(column: pd.Series, kind: str, expected: str, origin: str) -> str:
    if kind == "mixed":
        types = column.dropna().map(lambda value: type(value).__name__)
        return f"several types in one column, or no plain values: {listed(types.unique())}; expected one type"
    if "null" in (kind, expected) or kind == expected:
        return ""
    if kind == "text" and expected in ("number", "time"):
        wrong = not_numbers(column) if expected == "number" else column.notna() & times(column).isna()
        return f"expected {expected}{origin}, got text: {_at(column, wrong)}" if wrong.any() else ""
    if kind == "number" and expected == "boolean" and column.dropna().isin([0, 1]).all():
        return ""
    hint = "; where codes look like numbers, declare the column's dtype at the source" if expected == "text" else ""
    return f"expected {expected}{origin}, got {kind}: {_at(column, column.notna())}{hint}"


def _non_null(batch: _Batch, max_missing: float, optional: Collection[str]) -> CheckOutcome:
    if unchecked := batch.unchecked("non_null", ()):
        return unchecked
    shares = {name: float(batch.frame[name].isna().mean()) for name in batch.present}
    judged = {name: share for name, share in shares.items() if name != batch.target and name not in optional}
    bad = [name for name, share in judged.items() if share >= max_missing]
    faults = []
    if bad:
        limit = "all values missing" if max_missing >= 1 else f"{max_missing:.1%} or more missing"
        faults.append(f"{limit}: " + ", ".join(f"{shown(name)} ({shares[name]:.1%})" for name in bad[:_EXAMPLES]))
        faults[0] += f" and {len(bad) - _EXAMPLES} more" if len(bad) > _EXAMPLES else ""
    worst = max(judged, key=lambda name: judged[name], default=None)
    holds = f"no column misses too much; the most is {shown(worst)} with {judged[worst]:.1%}" if worst else "no columns"
    metadata: dict[str, Any] = {
        "largest_missing_share": judged[worst] if worst else 0.0,
        "columns": [
            {"column": shown(name), "missing": round(share * batch.rows), "share": share}
            for name, share in shares.items()
        ],
    }
    if batch.target in shares:
        metadata["label_missing_share"] = shares[batch.target]
        holds += f"; label missing in {shares[batch.target]:.1%} of the rows"
    return batch.outcome("non_null", faults, holds, metadata)


def _finite(batch: _Batch) -> CheckOutcome:
    if unchecked := batch.unchecked("finite", ()):
        return unchecked
    faults, count, looked_at = [], 0, 0
    for name in batch.present:
        column = batch.frame[name]
        kind = kind_of(column)
        if kind != "number" and (kind != "text" or batch.expected(name) != "number"):
            continue
        looked_at += 1
        wrong = pd.Series(np.abs(numbers(column).to_numpy("float64")) >= LARGEST)
        if wrong.any():
            count += int(wrong.sum())
            faults.append(f"{shown(name)}: infinite or {LARGEST:g} and beyond: {_at(column, wrong)}")
    if len(faults) > _EXAMPLES:
        faults = [*faults[:_EXAMPLES], f"{len(faults) - _EXAMPLES} columns more"]
    return batch.outcome(
        "finite", faults, f"all values of {looked_at} number columns are finite", {"not_finite": count}
    )


def _key_unique(batch: _Batch, key: tuple[str, ...]) -> CheckOutcome:
    if not key:
        return CheckOutcome("key_unique", True, "no key declared")
    if unchecked := batch.unchecked("key_unique", key):
        return unchecked
    keys = batch.frame[list(key)]
    empty = keys.isna().any(axis=1)
    try:
        repeated = keys.duplicated(keep=False) & ~empty
    except TypeError:
        return CheckOutcome("key_unique", False, f"the key {listed(key)} holds values that cannot be compared (lists)")
    faults = []
    if repeated.any():
        faults.append(f"{int(repeated.sum())} rows share their key {listed(key)}: {_repeated(keys, repeated)}")
    if empty.any():
        faults.append(f"{int(empty.sum())} rows have no key: {_at(keys, empty)}")
    metadata = {"repeated": int(repeated.sum()), "without_key": int(empty.sum()), "key": [shown(name) for name in key]}
    return CheckOutcome("key_unique", not faults, "; ".join(faults) or f"{batch.rows} distinct keys", metadata=metadata)


def _time_valid(batch: _Batch, time: str | None, now: pd.Timestamp, tolerance: pd.Timedelta) -> CheckOutcome:
    if time is None:
        return CheckOutcome("time_valid", True, "no time column declared")
    if unchecked := batch.unchecked("time_valid", [time]):
        return unchecked
    column = batch.frame[time]
    moments = times(column)
    latest_allowed = (now.tz_localize("UTC") if now.tzinfo is None else now.tz_convert("UTC")) + tolerance
    empty, wrong, future = column.isna(), column.notna() & moments.isna(), moments > latest_allowed
    faults = []
    if empty.any():
        faults.append(f"{int(empty.sum())} rows have no time: {_at(column, empty)}")
    if wrong.any():
        faults.append(f"{int(wrong.sum())} values are no time: {_at(column, wrong)}; expected for example 2024-01-31")
    if future.any():
        faults.append(f"{int(future.sum())} times lie after {latest_allowed.isoformat()}: {_at(column, future)}")
    metadata = {"no_time": int((empty | wrong).sum()), "future": int(future.sum())}
    if moments.notna().any():
        metadata |= {"first": moments.min().isoformat(), "last": moments.max().isoformat()}
    holds = f"{shown(time)}: {metadata.get('first')} to {metadata.get('last')}"
    return CheckOutcome("time_valid", not faults, "; ".join(faults) or holds, metadata=metadata)


def _at(values: pd.Series | pd.DataFrame, where: pd.Series) -> str:
    """Return the first values at which `where` holds, each with its row number from 1."""
    chosen = values[where.to_numpy()]
    examples = []
    for row, value in zip(chosen.index[:_EXAMPLES], chosen.head(_EXAMPLES).to_numpy(dtype=object), strict=True):
        plain = tuple(value) if isinstance(value, np.ndarray) else value
        plain = plain[0] if isinstance(plain, tuple) and len(plain) == 1 else plain
        examples.append(f"{shown(plain)} (row {row + 1})")
    more = len(chosen) - len(examples)
    return ", ".join(examples) + (f" and {more} more" if more else "")


def _repeated(keys: pd.DataFrame, where: pd.Series) -> str:
    # Equal keys side by side; ordered by text, as keys of several types have no order of their own.
    chosen = keys[where].sort_values(list(keys.columns), kind="stable", key=lambda part: part.astype(str))
    return _at(chosen, pd.Series(True, index=chosen.index))
