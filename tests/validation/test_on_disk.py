"""The contract on a batch on disk: the same outcomes, word for word, as in memory, over types, gaps and faults."""

import numpy as np
import pandas as pd
import pytest

from mlops_assets import disk_frame
from mlops_assets.disk_frame import DiskFrame
from mlops_assets.validation import repeated
from mlops_assets.validation.contract import contract_checks
from mlops_assets.validation.first_look import first_look
from mlops_assets.validation.plain_columns import plain_columns, plain_on_disk
from mlops_assets.validation.repeated import distinct_values, repeated_rows
from mlops_assets.validation.schema import Schema, normalise, normalise_on_disk, schema_of
from mlops_assets.validation.where import kept_rows, rows_of

NOW = pd.Timestamp("2024-06-01")
ROWS = 90
KINDS = ("number", "text", "boolean", "time", "null")


@pytest.fixture(autouse=True)
def few_rows_at_once(monkeypatch):
    monkeypatch.setattr(disk_frame, "ROWS_AT_ONCE", 20)
    monkeypatch.setattr(repeated, "MANY_ROWS", 10)


def column(random):
    """Return a column of a random type, with gaps, infinite or future values, or numbers as text."""
    kinds = {
        "float": lambda: random.choice([1.5, -0.0, 0.0, 2.0, np.inf, 1e200], ROWS, p=[0.4, 0.2, 0.2, 0.18, 0.01, 0.01]),
        "int": lambda: random.integers(0, 2 if random.random() < 0.3 else 99, ROWS),
        "bool": lambda: random.random(ROWS) < 0.5,
        "text": lambda: random.choice(["a", "b", "c c"], ROWS),
        "digits": lambda: random.choice(["1", "2.5", "3", "x" if random.random() < 0.5 else "4"], ROWS),
        "dates": lambda: random.choice(["2024-01-01", "2024-01-02 03:00", "soon"], ROWS, p=[0.7, 0.28, 0.02]),
        "time": lambda: pd.date_range("2024-01-01", "2024-06-03", periods=ROWS),
        "list": lambda: [[1]] * ROWS,
    }
    kind = random.choice(list(kinds), p=[0.2, 0.2, 0.15, 0.15, 0.1, 0.07, 0.1, 0.03])
    values = pd.Series(kinds[kind]())
    gap = random.choice(["none", "some", "first", "all"], p=[0.4, 0.3, 0.25, 0.05])
    if gap == "none":
        return values
    where = {"some": random.random(ROWS) < 0.2, "first": np.arange(ROWS) < 50, "all": np.ones(ROWS, bool)}[gap]
    return values.astype(object).where(~where, None).infer_objects() if kind != "time" else values.mask(where)


@pytest.mark.parametrize("seed", range(60))
def test_outcomes_and_rows_are_those_in_memory(seed):
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({name: column(random) for name in ("a", "b", "c", "k", "l", "t", "y")})
    schema = None
    if seed % 3:
        kinds = {name: str(random.choice(KINDS)) for name in frame if random.random() < 0.6}
        schema = Schema({**kinds, **({"gone": "text"} if seed % 5 == 0 else {})}, dict.fromkeys(kinds, "first"))
    names = {"target": "y", "key": ["k", "l"][: 1 + seed % 2], "time": "t" if seed % 2 else None}
    inferred = {"a", "b"} if seed % 4 == 0 else set()

    plain, faults = plain_columns(frame, {"c"})
    on_disk, other_faults = plain_on_disk(DiskFrame.of_chunks([]) if frame.empty else _columns_of(frame), {"c"})
    assert other_faults == faults
    whole = normalise(plain, schema)
    normalise_on_disk(on_disk, schema)
    pd.testing.assert_frame_equal(on_disk[list(on_disk.columns)], whole)
    pd.testing.assert_frame_equal(pd.concat(list(on_disk.chunks())), whole)
    assert schema_of(on_disk, "b") == schema_of(whole, "b")
    expected = contract_checks(whole, schema, **names, now=NOW, inferred=inferred)
    assert contract_checks(on_disk, schema, **names, now=NOW, inferred=inferred) == expected
    assert first_look(on_disk, set(whole), inferred) == first_look(whole, set(whole), inferred)


class _columns_of(disk_frame.LargeFrame):
    """A frame in memory as a source gives its columns."""

    def __init__(self, frame):
        self.frame = frame

    dtypes = property(lambda self: dict(self.frame.dtypes))

    def __len__(self):
        return len(self.frame)

    def column(self, name):
        return self.frame[name]

    def chunks(self, columns=None):
        yield self.frame


@pytest.mark.parametrize("where", [{"b": "x"}, {"n": [1, "3"], "b": ["x", "y"]}, {"n": 99}, {}])
def test_where_keeps_the_rows_that_it_keeps_in_memory(where):
    frame = pd.DataFrame({"n": [1, 2, 3, None] * 10, "b": list("xyzxy") * 8})
    on_disk, _ = plain_on_disk(_columns_of(frame), kept=kept_rows(_columns_of(frame), where))
    pd.testing.assert_frame_equal(on_disk[["n", "b"]], plain_columns(rows_of(frame, where))[0])


@pytest.mark.parametrize("seed", range(10))
def test_repeated_rows_and_distinct_values_are_those_of_pandas(seed):
    random = np.random.default_rng(seed)
    keys = pd.DataFrame(
        {
            "f": random.choice([0.0, -0.0, 1.5, np.nan, 2e300], 60),
            "s": random.choice(["a", "b", None], 60),
            "i": random.integers(0, 5, 60),
        }
    )
    assert repeated_rows(keys).tolist() == keys.duplicated(keep=False).tolist()
    assert [distinct_values(keys[name]) for name in keys] == [keys[name].nunique() for name in keys]


def test_a_hash_that_two_keys_share_by_chance_is_no_repeated_key(monkeypatch):
    monkeypatch.setattr(repeated, "_numbers", lambda keys: np.zeros(len(keys), "uint64"))
    keys = pd.DataFrame({"i": [*range(30), 7]})
    assert repeated_rows(keys).to_numpy().nonzero()[0].tolist() == [7, 30]
