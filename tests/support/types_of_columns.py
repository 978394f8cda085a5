"""Every type of column that pandas and pyarrow bring, in every role of a batch, and the door that it comes through."""

import datetime
import decimal
import io
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa

from mlops_assets.errors import DeclarationError
from mlops_assets.modelling.fitting.estimators import build
from mlops_assets.modelling.problem import problem_of
from mlops_assets.validation.contract import contract_checks
from mlops_assets.validation.plain_columns import plain_columns, with_faults
from mlops_assets.validation.schema import normalise, schema_of

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


def fits(rows, role, kinds=2):
    """Trains on the rows and scores them, as a training does; times as features are refused by name."""
    labelled = rows[rows["target"].notna()].reset_index(drop=True)
    if labelled.empty:
        return
    y = labelled["target"].infer_objects()
    problem, X = problem_of(y), labelled[[name for name in ("x", "feature") if name in labelled]]
    linear = "sklearn.linear_model." + ("Ridge" if problem == "regression" else "LogisticRegression")
    histogram = "sklearn.ensemble.HistGradientBoostingClassifier"
    for estimator, params in [(linear, {}), (histogram, {"max_iter": 2})][: kinds if role == "feature" else 1]:
        try:
            model = build(estimator, params, X, problem, 0)
        except DeclarationError as refusal:
            assert role == "feature" and "'feature' is of type datetime64" in str(refusal)
            return
        assert len(model.fit(X, y).predict(X)) == len(X)
