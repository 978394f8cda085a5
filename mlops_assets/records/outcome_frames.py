"""Frames of outcomes: checked against what the rows need, and joined to the rows on the key.

A tidy frame of outcomes has the key columns and, for each row, `label` and `known_at` (UTC without a zone, NaT if
unknown).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from mlops_assets.checks import CheckOutcome
from mlops_assets.errors import MlopsAssetsError, SourceError
from mlops_assets.lazy import pd
from mlops_assets.sources.times import parse_times
from mlops_assets.text import shown
from mlops_assets.validation.contract import contract_checks
from mlops_assets.validation.schema import Schema, kind_of, normalise, not_numbers, numbers

LABEL, KNOWN_AT = "label", "known_at"
_CONTRACT = ("row_count", "columns", "dtypes", "finite")
_FUTURE_TOLERANCE = timedelta(days=1)
_EXACT = 2**53


class UnlikeKeys(MlopsAssetsError):
    """Keys of outcomes are of another kind than the rows' keys, so that no key could match."""


def outcome_checks(
    frame: pd.DataFrame,
    schema: Schema,
    key: Sequence[str],
    target: str,
    known_at: str | None,
    now: pd.Timestamp,
) -> list[CheckOutcome]:
    """Judge a batch of outcomes: return all checks but `readable` and `matches_rows`, all blocking.

    schema: the known kinds of the columns; of the key from the rows, of the target from earlier outcomes.
    """
    wanted = [*key, target, *([known_at] if known_at else [])]
    frame = frame[[name for name in frame.columns if name in wanted]]
    needed = Schema({name: schema.columns.get(name, "null") for name in wanted})
    contract = contract_checks(normalise(frame, needed), needed, target, (), None, now=now)
    outcomes = [outcome for outcome in contract if outcome.name in _CONTRACT]
    if any(outcome.stops for outcome in outcomes):
        return outcomes
    outcomes += [_key_known(frame, key), known_at_check(frame, known_at, now)]
    if any(outcome.stops for outcome in outcomes):
        return outcomes
    try:
        return [*outcomes, _one_label(tidy(frame, needed, key, target, None), key, target)]
    except UnlikeKeys as error:
        return [*outcomes, CheckOutcome("one_label", False, f"not checked: {error}")]


def known_at_check(frame: pd.DataFrame, name: str | None, now: pd.Timestamp) -> CheckOutcome:
    """Check that the column `name` holds when each label became known; missing times pass, future times fail."""
    if name is None:
        return CheckOutcome("known_at", True, "no `known_at` declared: a label counts as known when it arrives")
    try:
        times = moments(frame[name])
    except SourceError as error:
        return CheckOutcome("known_at", False, str(error))
    future = times > now.tz_convert("UTC").tz_localize(None) + _FUTURE_TOLERANCE
    if future.any():
        example = f"{shown(frame[name][future.to_numpy()].iloc[0])} (row {int(future.to_numpy().argmax()) + 1})"
        return CheckOutcome("known_at", False, f"{int(future.sum()):,} labels are known only in the future: {example}")
    missing = int(times.isna().sum())
    untimed = f"; {missing:,} labels have no time and are not trained on" if missing else ""
    return CheckOutcome("known_at", True, f"{shown(name)}: {times.min()} to {times.max()}{untimed}")


def tidy(frame: pd.DataFrame, schema: Schema, key: Sequence[str], target: str, known_at: str | None) -> pd.DataFrame:
    """Return checked outcomes as a tidy frame, without the rows that have no label."""
    frame = normalise(frame, schema).reset_index(drop=True)
    kinds = {name: schema.columns.get(name, "null") for name in key}
    keys = as_keys(frame, {name: kind_of(frame[name]) if kind == "null" else kind for name, kind in kinds.items()})
    label = frame[target]
    if schema.columns.get(target) == "boolean" and kind_of(label) == "number":
        label = label.astype("boolean").astype(object) if label.isna().any() else label.astype(bool)
    times = moments(frame[known_at]) if known_at else _no_moments(len(frame))
    rows = keys.assign(**{LABEL: label, KNOWN_AT: times})
    return rows[rows[LABEL].notna()].reset_index(drop=True)


def as_keys(frame: pd.DataFrame, kinds: Mapping[str, str]) -> pd.DataFrame:
    """Return the columns of `kinds` (name -> kind of the rows' key) in comparable form: whole numbers as integers,
    times in UTC without a zone. Raise `UnlikeKeys` that names a column whose values are of another kind."""
    if missing := [name for name in kinds if name not in frame.columns]:
        raise UnlikeKeys(f"the outcomes were taken in by another key and lack {missing}: take them in again")
    return pd.DataFrame({name: _as_key(frame[name], name, kind) for name, kind in kinds.items()})


def latest_labels(frames: Sequence[pd.DataFrame], key: Sequence[str]) -> pd.DataFrame:
    """Return one row for each key, from tidy frames in order of their batches.

    Of several labels of a key, the one known latest counts; without these times, the label of the later batch.
    """
    rows = pd.concat(frames, ignore_index=True)
    ordered = rows.sort_values(KNOWN_AT, kind="stable", na_position="first")
    return ordered.drop_duplicates(list(key), keep="last").reset_index(drop=True)


def join(keys: pd.DataFrame, labels: pd.DataFrame | None) -> pd.DataFrame:
    """Return `label` and `known_at` (n,) of the rows with these keys, missing where there is no label (yet)."""
    if labels is None or labels.empty:
        return pd.DataFrame({LABEL: [float("nan")] * len(keys), KNOWN_AT: _no_moments(len(keys))})
    alike, other = _comparable(keys, labels)
    joined = alike.merge(other, on=list(keys.columns), how="left")  # one label for each key: no row is repeated
    return joined[[LABEL, KNOWN_AT]]


def matched(keys: pd.DataFrame, labels: pd.DataFrame) -> tuple[int, pd.Series]:
    """Return how many rows with these keys have a label among `labels`, and which labels (n,) have a row."""
    alike, other = _comparable(keys, labels)
    on = list(keys.columns)
    rows = alike.merge(other[on].drop_duplicates(), on=on, how="inner")
    sides = other[on].merge(alike.drop_duplicates(), on=on, how="left", indicator="side")["side"]
    return len(rows), sides == "both"


def moments(column: pd.Series) -> pd.Series:
    """Return times (n,) in UTC without a zone; raise `SourceError` that names the first other value."""
    times = parse_times(column)
    plain: pd.Series = times if times.dt.tz is None else times.dt.tz_convert("UTC").dt.tz_localize(None)
    return plain.astype("datetime64[us]")


def _comparable(keys: pd.DataFrame, labels: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return both sides with one dtype for each key column; Python's integers and floats compare exactly."""
    differ = [name for name in keys.columns if keys[name].dtype != labels[name].dtype]
    if not differ:
        return keys, labels
    return keys.astype(dict.fromkeys(differ, object)), labels.astype(dict.fromkeys(differ, object))


def _as_key(column: pd.Series, name: str, expected: str) -> pd.Series:
    kind = kind_of(column)
    if expected == "number" and kind in ("number", "text") and not not_numbers(column).any():
        return _whole(numbers(column))
    if expected == "time" and kind in ("time", "text"):
        try:
            return moments(column)
        except SourceError as error:
            raise UnlikeKeys(f"key {shown(name)} of the outcomes {error}") from None
    if kind == expected:
        return column.astype(object) if kind == "text" else column
    example = column.dropna().head(1).to_list()
    raise UnlikeKeys(
        f"key {shown(name)} holds {kind}{f', such as {shown(example[0])}' if example else ''}, and {expected} in the "
        "rows: none could match. Give both one dtype, for instance by `dtypes` of the source of the outcomes"
    )


def _whole(column: pd.Series) -> pd.Series:
    """Return whole floats as integers: one missing value turns a column of integers into floats."""
    whole = column.dtype.kind == "f" and bool(((column % 1 == 0) & (column.abs() < _EXACT)).all())
    return column.astype("int64") if whole else column


def _no_moments(count: int) -> pd.Series:
    return pd.Series(pd.NaT, index=range(count), dtype="datetime64[us]")


def _key_known(frame: pd.DataFrame, key: Sequence[str]) -> CheckOutcome:
    empty = frame[list(key)].isna().any(axis=1)
    rows = ", ".join(str(position + 1) for position in empty.to_numpy().nonzero()[0][:5])
    message = f"{int(empty.sum()):,} rows have no key {list(key)} (rows {rows}, ...): they belong to nothing"
    return CheckOutcome("key_known", not empty.any(), message if empty.any() else f"{len(frame):,} rows have a key")


def _one_label(rows: pd.DataFrame, key: Sequence[str], target: str) -> CheckOutcome:
    distinct = rows[[*key, LABEL]].drop_duplicates()
    twice = distinct[distinct.duplicated(list(key), keep=False)].sort_values(list(key), kind="stable").astype(object)
    if twice.empty:
        return CheckOutcome("one_label", True, f"{len(distinct):,} keys have one label each")
    first = twice.iloc[0]
    labels = " and ".join(shown(label) for label in twice[(twice[list(key)] == first[list(key)]).all(axis=1)][LABEL])
    where = {name: shown(first[name]) for name in key}
    count = twice[list(key)].drop_duplicates().shape[0]
    return CheckOutcome("one_label", False, f"{count:,} keys have several labels: {target} of {where} is {labels}")
