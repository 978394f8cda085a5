"""What pandas, pyarrow and databases bring is accepted, stored and fitted, or rejected with column, row, remedy."""

import datetime
import decimal
import io
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from mlops_assets.checks import reasons
from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.estimators import build
from mlops_assets.modelling.problem import problem_of
from mlops_assets.sources import Folder, Frame
from mlops_assets.sources.contents import data_version
from mlops_assets.validation.contract import contract_checks
from mlops_assets.validation.plain_columns import plain_columns, with_faults
from mlops_assets.validation.schema import kind_of, normalise, schema_of

ROWS = 40
NOW = pd.Timestamp("2024-06-01")
HOURS = pd.date_range("2024-01-01", periods=ROWS, freq="h")
PLAIN = {"int64", "float64", "bool", "str", "object", "datetime64[us]"}

# Each gives a column of ROWS values, and the kind that it is brought to (None: rejected).
TYPES = {
    "int8": (lambda: pd.Series(range(ROWS), dtype="int8"), "number"),
    "uint64": (lambda: pd.Series(range(ROWS), dtype="uint64"), "number"),
    "float16": (lambda: pd.Series(range(ROWS), dtype="float16"), "number"),
    "Int64": (lambda: pd.Series(range(ROWS), dtype="Int64"), "number"),
    "Float64": (lambda: pd.Series(range(ROWS), dtype="Float64"), "number"),
    "Decimal": (lambda: pd.Series([decimal.Decimal(i) / 8 for i in range(ROWS)]), "number"),
    "decimal128": (lambda: arrow([decimal.Decimal(i) for i in range(ROWS)], pa.decimal128(12, 2)), "number"),
    "arrow int32": (lambda: arrow(list(range(ROWS)), pa.int32()), "number"),
    "timedelta": (lambda: pd.Series(pd.to_timedelta(range(ROWS), unit="h")), "number"),
    "category of numbers": (lambda: pd.Series(range(ROWS), dtype="category"), "number"),
    "sparse": (lambda: pd.Series(pd.arrays.SparseArray(np.arange(float(ROWS)))), "number"),
    "bool": (lambda: pd.Series([True, False] * (ROWS // 2)), "boolean"),
    "boolean": (lambda: pd.Series([True, False] * (ROWS // 2), dtype="boolean"), "boolean"),
    "arrow bool": (lambda: arrow([True, False] * (ROWS // 2), pa.bool_()), "boolean"),
    "string": (lambda: texts().astype("string"), "text"),
    "string[pyarrow]": (lambda: texts().astype("string[pyarrow]"), "text"),
    "category": (lambda: texts().astype("category"), "text"),
    "uuid": (lambda: pd.Series([uuid.UUID(int=i) for i in range(ROWS)]), "text"),
    "time of day": (lambda: pd.Series([datetime.time(i % 24, i) for i in range(ROWS)]), "text"),
    "interval": (lambda: pd.Series(pd.interval_range(0, ROWS)), "text"),
    "naive": (lambda: pd.Series(HOURS.as_unit("ns")), "time"),
    "zone": (lambda: pd.Series(HOURS.tz_localize("Europe/Berlin")), "time"),
    "arrow zone": (lambda: arrow(list(HOURS.tz_localize("UTC")), pa.timestamp("ms", "Asia/Tokyo")), "time"),
    "two zones": (lambda: pd.Series([HOURS[0], *HOURS[1:].tz_localize("UTC")], dtype=object), "time"),
    "date": (lambda: pd.Series([datetime.date(2023, 1, 1 + i % 28) for i in range(ROWS)]), "time"),
    "period": (lambda: pd.Series(pd.period_range("2020-01", periods=ROWS, freq="M")), "time"),
    "list": (lambda: pd.Series([[i] for i in range(ROWS)]), None),
    "arrow list": (lambda: arrow([[i] for i in range(ROWS)], pa.list_(pa.int64())), None),
    "arrow struct": (lambda: arrow([{"a": i} for i in range(ROWS)], pa.struct([("a", pa.int64())])), None),
    "arrow map": (lambda: arrow([[("a", i)] for i in range(ROWS)], pa.map_(pa.string(), pa.int64())), None),
    "bytes": (lambda: pd.Series([b"\xff\x00%d" % i for i in range(ROWS)]), None),
    "complex": (lambda: pd.Series([complex(i, 1) for i in range(ROWS)]), None),
    "22 digits": (lambda: pd.Series([10**21 + i for i in range(ROWS)], dtype=object), None),
    "uint64 beyond": (lambda: pd.Series([2**64 - 1 - i for i in range(ROWS)], dtype="UInt64"), None),
    "set": (lambda: pd.Series([{i} for i in range(ROWS)]), None),
    "object": (lambda: pd.Series([object() for _ in range(ROWS)]), None),
    "mixed": (lambda: pd.Series(["a", 1] * (ROWS // 2)), None),
    "text and list": (lambda: pd.Series(["a", [1]] * (ROWS // 2)), None),
    "half characters": (lambda: pd.Series(["\ud800"] * ROWS, dtype=object), None),
    "1e299": (lambda: pd.Series([1e299] * ROWS), None),
    "all missing": (lambda: pd.Series([pd.NA] * ROWS, dtype=object), "null"),
}
NOT_PARQUET = {"sparse", "interval", "complex", "22 digits", "set", "object", "mixed", "text and list"} | {
    *("half characters", "float16", "two zones", "uuid", "period")
}
ROLES = ("feature", "target", "key", "time", "group", "known_at", "dropped", "extra")


def texts():
    return pd.Series([("red", "blue", "grüner")[i % 3] for i in range(ROWS)])


def arrow(values, kind):
    return pd.Series(pd.array(values, dtype=pd.ArrowDtype(kind)))


def with_gaps(column):
    """Every fifth value missing, in the way of the column's own dtype."""
    gaps = np.arange(ROWS) % 5 == 3
    if column.dtype == object or column.dtype == "bool":
        return pd.Series([None if gap else value for gap, value in zip(gaps, column, strict=True)], dtype=object)
    return column.mask(gaps)


def a_batch(role, column):
    frame = pd.DataFrame(
        {"x": np.linspace(0, 1, ROWS), "target": np.arange(ROWS) % 2, "key": range(ROWS), "time": HOURS.as_unit("us")}
    )
    return frame.assign(**{role: column})


def judged(frame, schema, role):
    """The batch as the step of the dataset takes it in: rows brought to plain kinds, and all outcomes."""
    rows, faults = plain_columns(frame, ["dropped"])
    rows = normalise(rows, schema)
    used = rows.loc[:, [name != "dropped" for name in rows.columns]]
    schema = schema or (schema_of(a_batch("x", np.linspace(0, 1, ROWS))) if role == "extra" else None)
    contract = contract_checks(used, schema, "target", ["key"], "time", now=NOW)
    return rows, with_faults(contract, faults)


def read_back(frame):
    stored = io.BytesIO()
    frame.to_parquet(stored, index=False)
    return pd.read_parquet(stored)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("kind", TYPES)
def test_a_batch_is_accepted_and_fitted_or_rejected_with_a_reason(kind, gaps, role):
    make, expected = TYPES[kind]
    column = with_gaps(make()) if gaps else make()
    frame = a_batch(role, column)
    assert data_version(frame) == data_version(a_batch(role, with_gaps(make()) if gaps else make()))
    rows, outcomes = judged(frame, None, role)
    refused = "; ".join(reasons(outcomes))
    read_back(rows.astype(str))  # rejected rows are kept as text
    if role == "dropped":
        assert not refused, refused
        assert ("dropped" in rows) == (expected is not None or kind == "1e299")
        rows = rows.drop(columns="dropped", errors="ignore")
    elif expected is None and role != "extra":
        assert repr(role) in refused and "row" in refused, refused
    if refused:
        return
    assert set(map(str, rows.dtypes)) <= PLAIN
    assert role == "dropped" or expected is None or kind_of(rows[role]) == expected
    stored = read_back(rows)
    assert data_version(stored) == data_version(rows)
    if role in ("feature", "target"):
        fits(stored, role)


def fits(rows, role):
    """Trains on the rows and scores them, as a training does; times as features are refused by name."""
    labelled = rows[rows["target"].notna()].reset_index(drop=True)
    if labelled.empty:
        return
    y = labelled["target"].infer_objects()
    problem, X = problem_of(y), labelled[[name for name in ("x", "feature") if name in labelled]]
    linear = "sklearn.linear_model." + ("Ridge" if problem == "regression" else "LogisticRegression")
    histogram = "sklearn.ensemble.HistGradientBoostingClassifier"
    for estimator, params in [(linear, {}), (histogram, {"max_iter": 2})][: 2 if role == "feature" else 1]:
        try:
            model = build(estimator, params, X, problem, 0)
        except DeclarationError as refusal:
            assert role == "feature" and "'feature' is of type datetime64" in str(refusal)
            return
        assert len(model.fit(X, y).predict(X)) == len(X)


def test_later_batches_are_brought_to_the_kinds_of_the_first():
    first = pd.DataFrame({"flag": [True, False], "seen": HOURS[:2], "n": [1, 2], "colour": ["a", "b"]})
    schema = schema_of(plain_columns(first)[0])
    later = pd.DataFrame(
        {
            "flag": pd.Series([1, None], dtype="Int64"),
            "seen": ["2024-01-03T00:00:00Z", "2024-01-03T02:00:00+02:00"],
            "n": ["1234567890123456789012", "7"],
            "colour": pd.Series(["a", None], dtype="string"),
        }
    )
    rows = normalise(plain_columns(later)[0], schema)
    assert rows["flag"].tolist()[0] is True and rows["flag"].isna().tolist() == [False, True]
    assert rows["seen"].tolist() == [pd.Timestamp("2024-01-03")] * 2 and rows["seen"].dt.tz is None
    assert rows["n"].tolist() == [1234567890123456789012.0, 7.0]
    assert rows["colour"].tolist()[0] == "a" and isinstance(rows["colour"].tolist()[1], float)


def test_a_boolean_feature_with_gaps_in_one_batch_only_trains_and_scores_both():
    X = pd.DataFrame({"flag": pd.Series([True, False, None, True] * 10, dtype=object), "x": range(40)})
    model = build("sklearn.linear_model.LogisticRegression", {}, X, "binary", 0).fit(X, [0, 1] * 20)
    whole = pd.DataFrame({"flag": [True, False], "x": [1, 2]})
    assert len(model.predict(whole)) == len(model.predict(whole.astype({"flag": object}))) == 2


@pytest.mark.parametrize("kind", [name for name in TYPES if name not in NOT_PARQUET])
def test_a_folder_of_parquet_gives_what_is_taken_or_refused(kind, tmp_path: Path):
    make, expected = TYPES[kind]
    a_batch("feature", make()).to_parquet(tmp_path / "one.parquet", index=False)
    rows, outcomes = judged(Folder(f"{tmp_path}/*.parquet").read("one"), None, "feature")
    assert bool(reasons(outcomes)) == (expected in (None, "null")), reasons(outcomes)
    assert data_version(read_back(rows.astype(str)))


@pytest.mark.parametrize("kind", TYPES)
def test_a_frame_of_any_type_has_the_same_mark_at_each_look(kind):
    make, _ = TYPES[kind]
    source = Frame(lambda: iter([("one", a_batch("feature", make()))]))
    assert source.look().ready == source.look().ready
    assert source.read("one").shape == (ROWS, 5)
